"""Sign-in, sign-out, and the theme."""

from typing import Any

from django.conf import settings
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apono_portal.context_processors import THEMES
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from apono_portal.sso.models import IdentityProvider
from apono_portal.sso.provider_sessions import session_of, sign_out_of
from apono_portal.users import services, session_state
from apono_portal.users.forms import SignInForm

YEAR_SECONDS = 365 * 24 * 3600


class SignIn(auth_views.LoginView):
    """Sign in with email and password, under a new session key."""

    request: PortalRequest

    template_name = "users/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        """Return a safe ``next`` other than this page."""
        url = super().get_redirect_url()
        return "" if url.partition("?")[0] == reverse("users:sign_in") else url

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        providers = IdentityProvider.objects.filter(is_active=True)
        return super().get_context_data(**kwargs) | {"providers": providers}

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        response = super().form_valid(form)
        session_state.complete_sign_in(self.request, response, user, proven_at=timezone.now())
        if user.is_break_glass:
            services.record_break_glass_sign_in(user=user, client_info=ClientInfo.of(self.request))
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        email, client_info = form.data.get("username", ""), ClientInfo.of(self.request)
        is_attempt = {"username", "password"} <= form.cleaned_data.keys()
        if is_attempt:
            services.record_failed_sign_in(email=email, client_info=client_info)
        return self.render_to_response(self.get_context_data(form=form), status=422)


@require_POST
def sign_out(request: PortalRequest) -> HttpResponse:
    """Sign out, and offer to sign out of the identity provider that began the session."""
    services.record_sign_out(user=request.user, client_info=ClientInfo.of(request))
    began_by = session_of(request)
    response = auth_views.LogoutView.as_view()(request)
    at_provider = sign_out_of(request, began_by) if began_by else None
    if at_provider is None:
        return response
    return render(request, "sso/signed_out.html", {"sign_out": at_provider})


@login_not_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Set the theme cookie. Any value but light and dark follows the system."""
    response = HttpResponseRedirect(_safe_next(request))
    value = request.POST.get("theme", "")
    if value in THEMES:
        response.set_cookie(
            "theme",
            value,
            max_age=YEAR_SECONDS,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response


def _safe_next(request: HttpRequest) -> str:
    url = request.POST.get("next", "")
    is_safe = url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return url if is_safe else resolve_url(settings.LOGIN_REDIRECT_URL)
