"""Changing a password, requesting a link to reset it, and setting it through a link."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from apono_portal.sso.enforcement import may_use_password
from apono_portal.users import services, session_state, sign_in_devices
from apono_portal.users.exceptions import UserError
from apono_portal.users.forms import ChangePasswordForm, ForgotPasswordForm, LinkPasswordForm
from apono_portal.users.models import User
from apono_portal.users.password_limits import PasswordAttempt
from apono_portal.users.reset_tokens import RESET_LIFETIME, reset_token_generator
from apono_portal.users.services.passwords import NO_PASSWORD, TokenChecker
from mfa.exceptions import WindowClosed
from mfa.middleware import redirect_to_verify
from mfa.verification.attempts import VerificationResult
from mfa.verification.throttle_scope import throttle_scope_of
from mfa.verification.trusted_browsers import set_browser_cookie


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def change(request: PortalRequest) -> HttpResponse:
    """Change the password. Other sessions end; this one continues without its verified window."""
    user = request.user
    if not may_use_password(user):
        messages.info(request, NO_PASSWORD)
        return redirect("mfa:security")
    if request.mfa.enrolled and not request.mfa.is_open:
        return _verify_first(request)
    data = request.POST if request.method == "POST" else None
    form = ChangePasswordForm(user, data, request=request)
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return render(request, "users/password.html", {"form": form}, status=status)
    try:
        services.change_password(
            user=form.checked_user,
            window=request.mfa.window,
            password=form.cleaned_data["new_password1"],
            client_info=ClientInfo.of(request),
        )
    except WindowClosed:  # since the request began
        return _verify_first(request)
    except UserError as error:
        form.add_error(None, error.sentence)
        return render(request, "users/password.html", {"form": form}, status=422)
    request.user = User.objects.select_related("mfa_state").get(pk=user.pk)
    update_session_auth_hash(request, request.user)
    session_state.stamp_session(request, proven_at=timezone.now())
    messages.success(request, "Password changed. You were signed out everywhere else.")
    response = redirect("mfa:security")
    sign_in_devices.remember_device(request, response, request.user)
    return response


def _verify_first(request: PortalRequest) -> HttpResponse:
    """Send the user to verify; what was typed stays in the form, and nowhere else."""
    if request.method == "GET":
        return redirect_to_verify(request)
    form = ChangePasswordForm.unchecked(request.user, request=request)
    context = {"form": form, "must_verify": True}
    return render(request, "users/password.html", context, status=422)


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def forgot(request: HttpRequest) -> HttpResponse:
    """Email a link to reset the password. The answer is the same whether or not the account exists."""
    form = ForgotPasswordForm(request.POST if request.method == "POST" else None)
    if not settings.EMAIL_CONFIGURED or not form.is_valid():
        status = 422 if form.errors else 200
        return render(request, "users/forgot_password.html", {"form": form}, status=status)
    email = form.cleaned_data["email"]
    PasswordAttempt.for_link(request, email).count()
    services.request_reset_link(email=email, client_info=ClientInfo.of(request))
    return redirect("users:reset_link_sent")


@login_not_required
@require_safe
def reset_link_sent(request: HttpRequest) -> HttpResponse:
    minutes = int(RESET_LIFETIME.total_seconds() // 60)
    return render(request, "users/reset_link_sent.html", {"minutes": minutes})


@method_decorator(login_not_required, name="dispatch")
class SetPassword(auth_views.PasswordResetConfirmView):
    """Set a password through a link of `services.invite_user`, for active users only.

    The token is in the address of the link alone: opening it moves the token to the session.
    """

    template_name = "users/set_password.html"
    form_class = LinkPasswordForm
    token_generator: TokenChecker = default_token_generator

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(*args, **kwargs)
        if kwargs["token"] != self.reset_url_token:
            response["Referrer-Policy"] = "no-referrer"  # the address has the token
        return response

    def get_user(self, uidb64: str) -> Any:
        user = super().get_user(uidb64)
        return user if user is not None and user.is_active and may_use_password(user) else None

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            result = services.set_password(
                user=form.user,
                token=self.request.session[INTERNAL_RESET_SESSION_TOKEN],
                password=form.cleaned_data["new_password1"],
                code=form.cleaned_data.get("code", ""),
                scope=throttle_scope_of(self.request, form.user),
                tokens=self.token_generator,
                client_info=ClientInfo.of(self.request),
            )
        except UserError:  # since the request began
            self.validlink = False
            return self.render_to_response(self.get_context_data())
        if result is not None and not result.ok:
            return self._refuse_code(form, result)
        del self.request.session[INTERNAL_RESET_SESSION_TOKEN]
        messages.success(self.request, "Password set. You can sign in now.")
        response = redirect("users:sign_in")
        if result is not None:
            set_browser_cookie(response, form.user, result.browser_cookie)
        return response

    def _refuse_code(self, form: Any, result: VerificationResult) -> HttpResponse:
        """Say what was wrong. Five failures in a row end the session; the link can be opened again."""
        if result.must_end_session:
            self.request.session.flush()
            messages.error(self.request, "Five incorrect codes. Open the link again later.")
            return redirect("users:sign_in")
        form.add_error("code", result.message)
        return self.form_invalid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        if not context["validlink"]:
            kwargs["status"] = 410
        return super().render_to_response(context, **kwargs)


class ResetPassword(SetPassword):
    """The same through a link that its user requested (`services.request_reset_link`)."""

    token_generator = reset_token_generator
