"""MFA Holds: whose codes are held off by the 30-day limit, for account admins."""

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.permissions import admins_only
from mfa.decorators import mfa_required_if_enrolled
from mfa.exceptions import MfaError
from mfa.verification.forms import ReasonForm
from mfa.verification.lockouts import lift_lockout as lift_hold_service
from mfa.verification.selectors import scopes_at_month_limit
from mfa.verification.window import state_of


@require_safe
@mfa_required_if_enrolled
@admins_only
def holds(request: HttpRequest) -> HttpResponse:
    return render(
        request, "mfa/lockouts.html", {"holds": scopes_at_month_limit(now=timezone.now())}
    )


@require_http_methods(["GET", "HEAD", "POST"])
@mfa_required_if_enrolled
@admins_only
def lift_lockout(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(get_user_model(), pk=pk)
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            lift_hold_service(
                actor=request.user,
                user=person,
                window=state_of(request).window,
                client_info=ClientInfo.of(request),
                **form.cleaned_data,
            )
        except MfaError as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, f"Codes of {person} are taken again.")
        return redirect("mfa:lockouts")
    context = {"person": person, "form": form}
    return render(request, "mfa/lift_lockout.html", context, status=422 if form.errors else 200)
