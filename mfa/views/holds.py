"""MFA Holds: whose codes are held off by the 30-day limit, for account admins."""

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from audit.access import admins_only
from audit.origin import Origin
from mfa import services
from mfa.decorators import mfa_required_if_enrolled
from mfa.exceptions import MfaError
from mfa.forms import ReasonForm
from mfa.selectors import lanes_at_month_limit
from mfa.window import state_of


@require_safe
@mfa_required_if_enrolled
@admins_only
def holds(request: HttpRequest) -> HttpResponse:
    return render(request, "mfa/lockouts.html", {"holds": lanes_at_month_limit(now=timezone.now())})


@require_http_methods(["GET", "HEAD", "POST"])
@mfa_required_if_enrolled
@admins_only
def lift_hold(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(get_user_model(), pk=pk)
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            services.lift_hold(
                actor=request.user,
                user=person,
                window=state_of(request).window,
                origin=Origin.of(request),
                **form.cleaned_data,
            )
        except MfaError as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, f"Codes of {person} are taken again.")
        return redirect("mfa:holds")
    context = {"person": person, "form": form}
    return render(request, "mfa/lift_lockout.html", context, status=422 if form.errors else 200)
