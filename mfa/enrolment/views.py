"""Setting up MFA: POST makes a key, GET shows it, a first code turns MFA on."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import authenticate, get_user_model, update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apono_portal.core.web.client import ClientInfo
from mfa.enrolment.forms import PasswordForm, SetUpForm
from mfa.enrolment.provisioning import provisioning_of
from mfa.enrolment.reauthentication import (
    forget_set_up,
    password_proven_at,
    remember_set_up,
    set_up_begun_here,
    stamp_password,
)
from mfa.enrolment.selectors import set_up_under_way
from mfa.enrolment.services import (
    SetUpResult,
    begin_set_up,
    confirm_set_up,
    record_refused_password,
)
from mfa.exceptions import AlreadyEnrolled, MfaError, SetUpGone, SignInTooOld
from mfa.models import Authenticator, Outcome
from mfa.verification import throttle_scope
from mfa.verification.window import close_window

UNPROCESSABLE, TOO_MANY = 422, 429


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def set_up(request: HttpRequest) -> HttpResponse:
    """POST makes a new key, GET shows the one that this session made."""
    try:
        if request.method == "POST":
            return _begin(request)
        device = set_up_under_way(user=request.user, device_id=set_up_begun_here(request))
    except (AlreadyEnrolled, SetUpGone) as refused:
        messages.warning(request, str(refused))
        return redirect("mfa:security")
    except SignInTooOld:
        return redirect("mfa:confirm_password")
    return _dialog(request, device, SetUpForm())


@require_POST
@never_cache
@sensitive_post_parameters()
def confirm(request: HttpRequest) -> HttpResponse:
    """Turn MFA on with the first code of the new authenticator."""
    begun = set_up_begun_here(request)
    try:
        device = set_up_under_way(user=request.user, device_id=begun)
        form = SetUpForm(request.POST)
        if not form.is_valid():
            return _dialog(request, device, form, status=UNPROCESSABLE)
        result = confirm_set_up(
            user=request.user,
            device_id=begun,
            client_info=ClientInfo.of(request),
            **form.cleaned_data,
        )
    except MfaError as refused:
        messages.warning(request, str(refused))
        return redirect("mfa:security")
    if not result.ok:
        form.add_error("code", result.sentence)
        status = TOO_MANY if result.outcome == Outcome.THROTTLED else UNPROCESSABLE
        return _dialog(request, device, form, status=status, result=result)
    return _turned_on(request, result)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters()
def confirm_password(request: HttpRequest) -> HttpResponse:
    """Ask for the password once more, then begin the set-up."""
    user: Any = request.user
    form = PasswordForm(request.POST or None)
    if form.is_valid():
        password = form.cleaned_data["password"]
        if authenticate(request, username=user.get_username(), password=password) == user:
            stamp_password(request)
            return set_up(request)
        if not getattr(request, "axes_locked_out", False):
            record_refused_password(user=user, client_info=ClientInfo.of(request))
        form.add_error("password", "That is not your password.")
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "mfa/confirm_password.html", {"form": form}, status=status)


def _begin(request: HttpRequest) -> HttpResponse:
    device = begin_set_up(
        user=request.user,
        session_started_at=password_proven_at(request),
        client_info=ClientInfo.of(request),
    )
    remember_set_up(request, device.pk)
    return redirect("mfa:set_up")


def _turned_on(request: HttpRequest, result: SetUpResult) -> HttpResponse:
    """Keep this session, end the others, show the recovery codes this once."""
    people: Any = get_user_model()._default_manager
    user = people.select_related("mfa_state").get(pk=request.user.pk)
    forget_set_up(request)
    close_window(request)
    request.user = user
    update_session_auth_hash(request, user)
    response = render(request, "mfa/enabled.html", {"codes": result.recovery_codes})
    throttle_scope.remember(response, user, result.device_cookie)
    return response


def _dialog(
    request: HttpRequest,
    device: Authenticator,
    form: SetUpForm,
    *,
    status: int = 200,
    result: SetUpResult | None = None,
) -> HttpResponse:
    user: Any = request.user
    context = {
        "form": form,
        "provisioning": provisioning_of(device, user.email),
        "locked_until": result.locked_until if result else None,
    }
    return render(request, "mfa/set_up.html", context, status=status)
