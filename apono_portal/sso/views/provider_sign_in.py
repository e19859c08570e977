"""Signing in through an identity provider: away to it, and back."""

import time
from typing import cast

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.next_page import safe_next
from apono_portal.core.web.types import PortalRequest
from apono_portal.sso.authorization import TEST, Answer, Attempt, begin, finish, take_attempt
from apono_portal.sso.exceptions import (
    ProviderUnreachable,
    SignInMismatch,
    SignInRefused,
    SsoError,
)
from apono_portal.sso.identities import ConnectionNeeded, record_refusal, sign_in_user
from apono_portal.sso.models import IdentityProvider
from apono_portal.sso.pending_connection import PendingConnection, remember_connection
from apono_portal.sso.provider_sessions import forget_old_sessions, remember_session
from apono_portal.sso.trial import show_failure, show_test
from apono_portal.users.models import User
from apono_portal.users.session_state import complete_sign_in

STATUSES = {ProviderUnreachable: 503, SignInMismatch: 400, SignInRefused: 403}


@login_not_required
@never_cache
@require_GET
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """Send the browser to the provider. With ``fresh`` the provider asks the user again."""
    provider = get_object_or_404(IdentityProvider, slug=slug, is_active=True)
    forget_old_sessions()
    try:
        url = begin(request, provider, next_url=safe_next(request), is_fresh="fresh" in request.GET)
    except SsoError as error:
        return problem(request, provider, error)
    return HttpResponseRedirect(url)


@login_not_required
@never_cache
@require_GET
def callback(request: HttpRequest, slug: str) -> HttpResponse:
    """Take the provider's answer: sign the user in, or show what went wrong."""
    provider = get_object_or_404(IdentityProvider, slug=slug)
    try:
        attempt = take_attempt(request, provider)
    except SsoError as error:
        return problem(request, provider, error)
    if attempt.purpose == TEST:
        return _finish_test(request, provider, attempt)
    try:
        return _sign_in(cast(PortalRequest, request), provider, finish(request, provider, attempt))
    except SsoError as error:
        return problem(request, provider, error)


def _finish_test(
    request: HttpRequest, provider: IdentityProvider, attempt: Attempt
) -> HttpResponse:
    if not (isinstance(request.user, User) and request.user.is_account_admin):
        raise Http404
    signed_in = cast(PortalRequest, request)
    try:
        return show_test(signed_in, provider, finish(request, provider, attempt))
    except SsoError as error:
        return show_failure(signed_in, provider, error)


def _sign_in(request: PortalRequest, provider: IdentityProvider, answer: Answer) -> HttpResponse:
    if not provider.is_active:
        raise SignInRefused(f"{provider} is switched off.")
    claims, client_info = answer.claims, ClientInfo.of(request)
    try:
        user = sign_in_user(provider=provider, claims=claims, client_info=client_info)
    except ConnectionNeeded:
        pending = PendingConnection(
            provider.pk, str(provider), claims.subject, claims.email, time.time()
        )
        remember_connection(request, pending)
        return redirect("sso:connect")
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    remember_session(request, provider=provider, claims=claims, id_token=answer.id_token)
    response = redirect(answer.attempt.next_url or resolve_url(settings.LOGIN_REDIRECT_URL))
    complete_sign_in(
        request,
        response,
        user,
        proven_at=answer.proven_at,
        provider=_audited(provider, answer),
    )
    return response


def _audited(provider: IdentityProvider, answer: Answer) -> dict[str, object]:
    """Return what the audit log keeps of a sign-in."""
    claims = answer.claims
    return {
        "provider": str(provider),
        "subject": claims.subject,
        "acr": claims.acr,
        "amr": list(claims.amr),
        "auth_time": claims.auth_time.isoformat() if claims.auth_time else None,
        "groups": "unknown" if claims.groups is None else len(claims.groups),
    }


def problem(request: HttpRequest, provider: IdentityProvider, error: SsoError) -> HttpResponse:
    """Show why a sign-in failed and what to do. A refusal is recorded."""
    if isinstance(error, SignInRefused | ProviderUnreachable):
        record_refusal(
            provider=provider,
            reason=error.sentence,
            user=request.user if isinstance(request.user, User) else None,
            client_info=ClientInfo.of(request),
        )
    query = "?fresh=1" if isinstance(error, SignInRefused) and error.can_repeat else ""
    context = {
        "provider": provider,
        "sentence": error.sentence,
        "is_unreachable": isinstance(error, ProviderUnreachable),
        "is_mismatch": isinstance(error, SignInMismatch),
        "again_url": reverse("sso:start", args=[provider.slug]) + query,
    }
    return render(request, "sso/problem.html", context, status=STATUSES[type(error)])
