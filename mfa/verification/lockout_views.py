"""MFA Lockouts: who is locked out by the 30-day limit, for account admins."""

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.kept_forms import kept_words
from apono_portal.core.web.permissions import admins_only
from apono_portal.core.web.types import PortalRequest
from mfa.exceptions import MfaError
from mfa.verification import lockouts as services
from mfa.verification.forms import ReasonForm


@require_safe
@admins_only
def lockouts(request: PortalRequest) -> HttpResponse:
    context = {"lockouts": services.month_lockouts(timezone.now())}
    return render(request, "mfa/lockouts.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@admins_only
def lift_lockout(request: PortalRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(get_user_model(), pk=pk)
    form = ReasonForm(request.POST or None, initial=kept_words(request, "reason"))
    if form.is_valid():
        try:
            services.lift_lockout(
                actor=request.user,
                user=user,
                window=request.mfa.window,
                client_info=ClientInfo.of(request),
                **form.cleaned_data,
            )
        except MfaError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"{user} can enter codes again.")
        return redirect("mfa:lockouts")
    context = {"person": user, "form": form}
    return render(request, "mfa/lift_lockout.html", context, status=422 if form.errors else 200)
