"""Sign-in, sign-out, being held off, and the theme."""

from typing import Any

from django.conf import settings
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apono_portal.context_processors import THEMES
from apono_portal.core.web.client import ClientInfo
from apono_portal.users import services, sign_in, sign_in_devices
from apono_portal.users.forms import SignInForm

YEAR_S = 365 * 24 * 3600


class SignIn(auth_views.LoginView):
    """Sign-in by e-mail address and password. Sessions get a new key; nobody signs in twice."""

    template_name = "users/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        """Return a safe ``next``, never this page itself."""
        found = str(super().get_redirect_url())
        return "" if found.partition("?")[0] == reverse("users:sign_in") else found

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        person: Any = form.get_user()
        response = super().form_valid(form)
        sign_in.stamp_session(self.request)
        services.record_sign_in(
            user=person,
            client_info=ClientInfo.of(self.request),
            new_browser=not sign_in_devices.has_seen(self.request, person),
        )
        sign_in_devices.remember(response, person)
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        email, client_info = form.data.get("username", ""), ClientInfo.of(self.request)
        tried = {"username", "password"} <= form.cleaned_data.keys()
        if tried and not getattr(self.request, "axes_locked_out", False):
            services.record_failed_sign_in(email=email, client_info=client_info)
        return self.render_to_response(self.get_context_data(form=form), status=422)


def locked_out(
    request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """Answer a held-off sign-in with 429 and the time from which it works again."""
    email = (credentials or {}).get("username") or request.POST.get("username", "")
    services.record_lock(email=email, client_info=ClientInfo.of(request))
    until = sign_in.locked_until(request, credentials)
    return render(request, "429.html", {"retry_at": until}, status=429)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    person: Any = request.user
    services.record_sign_out(user=person, client_info=ClientInfo.of(request))
    return auth_views.LogoutView.as_view()(request)


@login_not_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Set the theme cookie; anything but light or dark follows the system."""
    response = HttpResponseRedirect(_safe_next(request))
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        response.set_cookie(
            "theme",
            chosen,
            max_age=YEAR_S,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response


def _safe_next(request: HttpRequest) -> str:
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else resolve_url(settings.LOGIN_REDIRECT_URL)
