"""Security & Privacy: how one proves it is oneself."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apono_portal.core.web.client import ClientInfo
from mfa.decorators import mfa_required
from mfa.enrolment.recovery_codes import make_recovery_codes, recovery_codes_left
from mfa.exceptions import MfaError
from mfa.models import Authenticator, TrustedBrowser, Verification
from mfa.verification.codes import RECOVERY_CODES
from mfa.verification.throttle_scope import throttle_scope_of
from mfa.verification.trusted_browsers import forget_browser as forget_browser_service
from mfa.verification.window import close_window, epoch_of, record_window_closed, state_of

LATEST = 10


@require_safe
@never_cache
def security(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    context = {
        "authenticator": Authenticator.objects.of(user.pk).confirmed().first(),
        "browsers": TrustedBrowser.objects.counting(user.pk, epoch_of(user)),
        "this_browser": throttle_scope_of(request).browser_id,
        "verifications": Verification.objects.filter(user_id=user.pk)[:LATEST],
        "recovery_codes_on": settings.MFA_RECOVERY_CODES,
        "recovery_codes": RECOVERY_CODES,
        "recovery_codes_left": recovery_codes_left(user_id=user.pk),
        "window_minutes": int(settings.MFA_WINDOW.total_seconds() // 60),
    }
    return render(request, "mfa/security.html", context)


@require_POST
def close(request: HttpRequest) -> HttpResponse:
    """Close the window of this session before its hour is over."""
    if state_of(request).is_open:
        record_window_closed(user=request.user, client_info=ClientInfo.of(request))
        messages.success(
            request, "The window is closed. The next protected request asks for a code."
        )
    close_window(request)
    return redirect("mfa:security")


@require_POST
@mfa_required
def forget_browser(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        forget_browser_service(
            user=request.user,
            browser_id=pk,
            window=state_of(request).window,
            client_info=ClientInfo.of(request),
        )
    except MfaError as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, "That browser is forgotten.")
    return redirect("mfa:security")


@require_POST
@never_cache
@mfa_required
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Make ten new recovery codes and show them, this once."""
    try:
        codes = make_recovery_codes(
            user=request.user, window=state_of(request).window, client_info=ClientInfo.of(request)
        )
    except MfaError as refused:
        messages.error(request, str(refused))
        return redirect("mfa:security")
    return render(request, "mfa/recovery_codes.html", {"codes": codes})
