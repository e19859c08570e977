"""Setting up MFA: POST makes a key, GET shows it, a first code turns MFA on."""

from datetime import datetime

from django.contrib import messages
from django.contrib.auth import authenticate, get_user_model, update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apono_portal.core.web.client import ClientInfo
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
from mfa.enrolment.services import (
    SetUpResult,
    begin_set_up,
    confirm_set_up,
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
from mfa.verification.trusted_browsers import set_browser_cookie
from mfa.verification.window import close_window

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
        messages.warning(request, str(error))
        return redirect("mfa:security")
    except PasswordNotRecent:
        return redirect("mfa:confirm_password")
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
        result = confirm_set_up(
            user=request.user,
            device_id=device.pk,
            window=request.mfa.window,
            client_info=ClientInfo.of(request),
            **form.cleaned_data,
        )
    except WindowClosed:
        raise  # the middleware sends the user to verify; the set-up stays open
    except MfaError as error:
        messages.warning(request, str(error))
        return redirect("mfa:security")
    if not result.ok:
        form.add_error("code", result.message)
        status = TOO_MANY if result.outcome == Outcome.THROTTLED else UNPROCESSABLE
        return _dialog(request, device, form, status=status, locked_until=result.locked_until)
    if result.is_further:
        forget_set_up(request)
        messages.success(request, "Authenticator app added.")
        return redirect("mfa:security")
    return _turned_on(request, result)


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
                return redirect("mfa:add_passkey")
            return set_up(request)
        if not getattr(request, "axes_locked_out", False):
            record_incorrect_password(user=user, client_info=ClientInfo.of(request))
        form.add_error("password", "Incorrect password.")
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "mfa/confirm_password.html", {"form": form}, status=status)


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
    )
    remember_set_up(request, device.pk)
    return redirect("mfa:set_up")


def _turned_on(request: PortalRequest, result: SetUpResult) -> HttpResponse:
    """Keep this session, end the others, and show the recovery codes this once."""
    user = get_user_model().objects.select_related("mfa_state").get(pk=request.user.pk)
    forget_set_up(request)
    close_window(request)
    request.user = user
    update_session_auth_hash(request, user)
    response = render(request, "mfa/enabled.html", {"codes": result.recovery_codes})
    set_browser_cookie(response, user, result.browser_cookie)
    return response


def _dialog(
    request: PortalRequest,
    device: Authenticator,
    form: SetUpForm,
    *,
    status: int = 200,
    locked_until: datetime | None = None,
) -> HttpResponse:
    context = {
        "form": form,
        "provisioning": provisioning_of(device, request.user.email),
        "locked_until": locked_until,
    }
    return render(request, "mfa/set_up.html", context, status=status)
