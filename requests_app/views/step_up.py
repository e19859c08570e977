"""Entering a six-digit code although signed in."""

import re
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.core.web.client import ClientInfo
from mfa.verification.attempts import VerificationResult
from mfa.verification.forms import CodeForm, RecoveryCodeForm
from mfa.verification.throttle_scope import remember, throttle_scope_of
from mfa.verification.window import end_session, open_window
from requests_app.models import AccessRequest
from requests_app.presenters.request import pending_mfa_rows
from requests_app.selectors import code_locked_until, pending_mfa_requests
from requests_app.submission.pending_mfa import submitted_elsewhere
from requests_app.submission.step_up import step_up
from requests_app.views.responses import safe_next

BAD_CODE = 422
NUMBER = re.compile(r"[0-9]{1,18}")
HELD_OFF = 429


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def enter_code(request: HttpRequest) -> HttpResponse:
    if not request.mfa.enrolled:  # type: ignore[attr-defined]
        messages.warning(request, "Set up MFA first, then enter a code.")
        return redirect("mfa:security")
    recovery = settings.MFA_RECOVERY_CODES and request.GET.get("with") == "recovery"
    form = (RecoveryCodeForm if recovery else CodeForm)(request.POST or None)
    scope = throttle_scope_of(request)
    if request.method != "POST" or not form.is_valid():
        budget = scope.for_recovery if recovery else scope
        held = code_locked_until(request.user, budget)
        status = BAD_CODE if request.method == "POST" else 200
        return _page(request, form, held, recovery=recovery, status=status)
    result, released = step_up(
        user=request.user,
        code=form.cleaned_data["code"],
        scope=scope,
        client_info=ClientInfo.of(request),
        recovery=recovery,
        leave_out=_left_out(request),
        shown=_shown(request),
    )
    if result.ok:
        return _let_through(request, result, released)
    return _turn_back(request, form, result, recovery=recovery)


def _left_out(request: HttpRequest) -> set[int]:
    """Return the numbers of the requests that the person wants to leave pending_mfa."""
    return {int(each) for each in request.POST.getlist("leave_out") if NUMBER.fullmatch(each)}


def _shown(request: HttpRequest) -> set[int] | None:
    """Return the numbers of the requests that were listed under the code; None if no list was sent."""
    told = request.POST.get("shown")
    if told is None:
        return None
    return {int(each) for each in told.split(",") if NUMBER.fullmatch(each)}


def _tell_of_newcomers(request: HttpRequest) -> None:
    """Name what was pending_mfa while the code was typed, so that its owner looks at it."""
    shown = _shown(request)
    if shown is None:
        return
    new = [each.reference for each in pending_mfa_requests(request.user) if each.pk not in shown]
    if new:
        messages.warning(
            request,
            f"{', '.join(new)} came after the page was shown, so the code did not release it. "
            "If it is not yours, withdraw it and change your password.",
        )


def _let_through(
    request: HttpRequest, result: VerificationResult, released: list[AccessRequest]
) -> HttpResponse:
    """Open the window and lead on: to where the person came from, else to what was released."""
    following = safe_next(request)
    open_window(request, result.verification)
    names = ", ".join(each.reference for each in released)
    messages.success(
        request, f"Verified, good for one hour.{f' Released: {names}.' if names else ''}"
    )
    _tell_of_newcomers(request)
    if following:
        response = redirect(following)
    elif len(released) == 1:
        response = redirect("requests:detail", pk=released[0].pk)
    else:
        response = redirect("requests:my_access")
    remember(response, request.user, result.device_cookie)
    return response


def _turn_back(
    request: HttpRequest, form: Form, result: VerificationResult, *, recovery: bool
) -> HttpResponse:
    """Say what was wrong. Five failures in a row end the session; the requests stay pending_mfa."""
    if result.session_must_end:
        end_session(request)
        again = f" Codes are taken again from {relative_datetime(result.locked_until)}."
        messages.error(
            request,
            "Five codes in a row did not match, so you were signed out. Your requests stay pending_mfa."
            f"{again if result.locked_until else ''}",
        )
        return redirect("users:sign_in")
    held = result.locked_until
    if held is None:
        form.add_error("code", result.sentence)
    status = HELD_OFF if held else BAD_CODE
    return _page(request, form, held, recovery=recovery, status=status)


def _page(
    request: HttpRequest, form: Form, held: datetime | None, *, recovery: bool, status: int
) -> HttpResponse:
    pending_mfa, left_out = pending_mfa_requests(request.user), _left_out(request)
    elsewhere = submitted_elsewhere(pending_mfa, ClientInfo.of(request))
    context: dict[str, Any] = {
        "form": form,
        "recovery": recovery,
        "next": safe_next(request),
        "locked_until": held,
        "pending_mfa": pending_mfa_rows(pending_mfa, elsewhere, left_out),
        "shown": ",".join(str(each.pk) for each in pending_mfa),
        "any_elsewhere": bool(elsewhere),
        "recovery_codes_on": settings.MFA_RECOVERY_CODES,
    }
    response = render(request, "requests_app/step_up.html", context, status=status)
    if held:
        left = (held - timezone.now()).total_seconds()
        response["Retry-After"] = str(max(int(left), 1))
    return response
