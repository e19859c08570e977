"""Security & Privacy."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.next_page import safe_next
from apono_portal.core.web.types import PortalRequest
from mfa.decorators import mfa_required
from mfa.enrolment.recovery_codes import (
    CODE_COUNT,
    CodeSheet,
    count_recovery_codes,
    make_recovery_codes,
)
from mfa.exceptions import MfaError
from mfa.methods.selectors import methods_of
from mfa.models import RecoveryCode, TrustedBrowser, Verification
from mfa.passkeys.relying_party import unavailable_reason
from mfa.reset import last_reset
from mfa.verification import trusted_browsers
from mfa.verification.window import close_window, record_window_closed

RECENT_VERIFICATIONS = 10


@require_safe
@never_cache
def security(request: PortalRequest) -> HttpResponse:
    user = request.user
    browsers = list(TrustedBrowser.objects.trusted_by(user.pk, user.mfa_epoch))
    methods = methods_of(user.pk)
    usable = [method for method in methods if method.is_usable]
    nonce_hash = trusted_browsers.nonce_hash_of(request, user.pk)
    codes_left = count_recovery_codes(user.pk)
    context = {
        "methods": methods,
        "last_method": usable[0] if len(usable) == 1 else None,
        "reset": None if methods else last_reset(user),
        "passkeys_unavailable": unavailable_reason(),
        "browsers": browsers,
        "this_browser": next((b.pk for b in browsers if b.nonce_hash == nonce_hash), None),
        "verifications": Verification.objects.filter(user_id=user.pk)[:RECENT_VERIFICATIONS],
        "recovery_codes_on": settings.MFA_RECOVERY_CODES,
        "recovery_codes": CODE_COUNT,
        "recovery_codes_left": codes_left,
        "few_recovery_codes": codes_left <= RecoveryCode.FEW,
        "next": safe_next(request),
        "window_minutes": int(settings.MFA_WINDOW.total_seconds() // 60),
    }
    return render(request, "mfa/security.html", context)


@require_POST
def close(request: PortalRequest) -> HttpResponse:
    """Close the window of this session before its hour is over."""
    if request.mfa.is_open:
        record_window_closed(user=request.user, client_info=ClientInfo.of(request))
        messages.success(request, "Window closed. The next protected request asks you to verify.")
    close_window(request)
    return redirect("mfa:security")


@require_POST
@mfa_required
def forget_browser(request: PortalRequest, pk: int) -> HttpResponse:
    try:
        trusted_browsers.forget_browser(
            user=request.user,
            browser_id=pk,
            window=request.mfa.window,
            client_info=ClientInfo.of(request),
        )
    except MfaError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Browser removed.")
    return redirect("mfa:security")


@require_safe
@mfa_required
def new_recovery_codes(request: PortalRequest) -> HttpResponse:
    """Ask for confirmation: new recovery codes void the old ones."""
    context = {"recovery_codes_left": count_recovery_codes(request.user.pk)}
    return render(request, "mfa/new_recovery_codes.html", context)


@require_POST
@never_cache
@mfa_required
def recovery_codes(request: PortalRequest) -> HttpResponse:
    """Make ten new recovery codes and show them, this once."""
    try:
        codes = make_recovery_codes(
            user=request.user, window=request.mfa.window, client_info=ClientInfo.of(request)
        )
    except MfaError as error:
        messages.error(request, str(error))
        return redirect("mfa:security")
    sheet = CodeSheet(codes, request.user.email, timezone.now())
    return render(request, "mfa/recovery_codes.html", {"sheet": sheet})


@require_safe
def codes_saved(request: PortalRequest) -> HttpResponse:
    """Continue from the recovery codes to where the user was going."""
    return redirect(safe_next(request) or "mfa:security")
