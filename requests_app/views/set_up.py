"""Setting up MFA: POST makes a key, GET shows it, the first code turns MFA on and releases requests."""

from datetime import datetime

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, get_user_model, update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.next_page import safe_next, url_with_next
from apono_portal.core.web.types import PortalRequest
from mfa.enrolment.forms import PasswordForm, SetUpForm
from mfa.enrolment.provisioning import provisioning_of
from mfa.enrolment.reauthentication import (
    forget_set_up,
    password_proven_at,
    remember_set_up,
    set_up_of_session,
    stamp_password,
)
from mfa.enrolment.recovery_codes import CodeSheet
from mfa.enrolment.services import (
    SetUpResult,
    begin_set_up,
    pending_set_up,
    record_incorrect_password,
)
from mfa.exceptions import (
    MfaError,
    PasswordNotRecent,
    SetUpExpired,
    TooManyMethods,
    WindowClosed,
)
from mfa.models import Authenticator, Outcome
from mfa.verification.attempts import VerificationResult
from mfa.verification.lockouts import limit_behind_lockout
from mfa.verification.trusted_browsers import set_browser_cookie
from requests_app.models import AccessRequest
from requests_app.presenters.request import not_released_by_code
from requests_app.selectors import pending_mfa_requests
from requests_app.submission.step_up import set_up_mfa
from requests_app.views.step_up import (
    continue_verified,
    left_out_ids,
    shown_ids,
    waiting_for_code,
)

UNPROCESSABLE, TOO_MANY = 422, 429


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def set_up(request: PortalRequest) -> HttpResponse:
    """POST makes a new key, GET shows the one that this session made."""
    try:
        if request.method == "POST":
            return _begin(request)
        device = _pending_of_session(request)
    except (SetUpExpired, TooManyMethods) as error:
        return _to_security(request, error)
    except PasswordNotRecent:
        return redirect(url_with_next("requests:confirm_password", safe_next(request)))
    return _dialog(request, device, SetUpForm())


@require_POST
@never_cache
@sensitive_post_parameters()
def confirm(request: PortalRequest) -> HttpResponse:
    """Turn MFA on with the first code of the new authenticator."""
    try:
        device = _pending_of_session(request)
        form = SetUpForm(request.POST)
        if not form.is_valid():
            return _dialog(request, device, form, status=UNPROCESSABLE)
        result, released = set_up_mfa(
            user=request.user,
            device_id=device.pk,
            window=request.mfa.window,
            client_info=ClientInfo.of(request),
            leave_out=left_out_ids(request),
            shown=shown_ids(request) or set(),
            **form.cleaned_data,
        )
    except WindowClosed:
        raise  # the middleware sends the user to verify; the set-up stays open
    except MfaError as error:
        return _to_security(request, error)
    if not result.ok:
        form.add_error("code", result.message)
        status = TOO_MANY if result.outcome == Outcome.THROTTLED else UNPROCESSABLE
        return _dialog(request, device, form, status=status, locked_until=result.locked_until)
    if result.success is None:
        forget_set_up(request)
        messages.success(request, "Authenticator app added.")
        return redirect(safe_next(request) or "mfa:security")
    return _turned_on(request, result, result.success, released)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters()
def confirm_password(request: PortalRequest) -> HttpResponse:
    """Ask for the password once more, then begin the set-up."""
    user = request.user
    form = PasswordForm(request.POST or None)
    if form.is_valid():
        password = form.cleaned_data["password"]
        if authenticate(request, username=user.get_username(), password=password) == user:
            stamp_password(request)
            if request.GET.get("for") == "passkey":
                return redirect(url_with_next("mfa:add_passkey", safe_next(request)))
            return set_up(request)
        record_incorrect_password(user=user, client_info=ClientInfo.of(request))
        form.add_error("password", "Incorrect password.")
    context = {"form": form, "next": safe_next(request)}
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "requests_app/confirm_password.html", context, status=status)


def _pending_of_session(request: PortalRequest) -> Authenticator:
    """Return the set-up of this session. Whoever has a method sees its key in an open window only."""
    if request.mfa.enrolled and not request.mfa.is_open:
        raise WindowClosed
    return pending_set_up(user=request.user, device_id=set_up_of_session(request))


def _begin(request: PortalRequest) -> HttpResponse:
    device = begin_set_up(
        user=request.user,
        window=request.mfa.window,
        password_proven_at=password_proven_at(request),
        client_info=ClientInfo.of(request),
        device_id=set_up_of_session(request),
    )
    remember_set_up(request, device.pk)
    return redirect(url_with_next("requests:set_up", safe_next(request)))


def _to_security(request: PortalRequest, error: MfaError) -> HttpResponse:
    """Say why there is nothing to set up. After a reload of the recovery codes, where to get new ones."""
    if isinstance(error, SetUpExpired) and request.mfa.is_open and settings.MFA_RECOVERY_CODES:
        messages.info(
            request,
            "MFA is on. Recovery codes are shown once: generate new ones if you have not saved them.",
        )
    else:
        messages.warning(request, str(error))
    return redirect(url_with_next("mfa:security", safe_next(request)))


def _turned_on(
    request: PortalRequest,
    result: SetUpResult,
    success: VerificationResult,
    released: list[AccessRequest],
) -> HttpResponse:
    """Keep this session, end the others, open its window, and show the recovery codes this once."""
    user = get_user_model().objects.select_related("mfa_state").get(pk=request.user.pk)
    forget_set_up(request)
    request.user = user
    update_session_auth_hash(request, user)
    next_url = continue_verified(request, success, released)
    codes = result.recovery_codes
    sheet = CodeSheet(codes, user.email, timezone.now()) if codes else None
    response = render(request, "mfa/enabled.html", {"sheet": sheet, "next": next_url})
    set_browser_cookie(response, user, success.browser_cookie)
    return response


def _dialog(
    request: PortalRequest,
    device: Authenticator,
    form: SetUpForm,
    *,
    status: int = 200,
    locked_until: datetime | None = None,
) -> HttpResponse:
    pending = pending_mfa_requests(request.user)
    context = {
        "form": form,
        "provisioning": provisioning_of(device, request.user.email),
        "locked_until": locked_until,
        "limit": locked_until and limit_behind_lockout(request.user, None),
        "stays_pending": not_released_by_code(pending),
        **waiting_for_code(request, pending, leave_out_elsewhere=True),
    }
    return render(request, "requests_app/set_up.html", context, status=status)
