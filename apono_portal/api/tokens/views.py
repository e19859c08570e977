"""Tokens on Security & Privacy, everybody's for admins, and the confirmation that a token may act."""

from collections.abc import Callable

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accessflows.acting import action_context
from apono_portal.api.exceptions import TokenError
from apono_portal.api.models import ApiToken
from apono_portal.api.tokens.forms import AgentTokenForm, TokenForm
from apono_portal.api.tokens.selectors import all_tokens, tokens_of
from apono_portal.api.tokens.services import (
    NewToken,
    TokenTerms,
    confirm_token,
    create_service_token,
    create_token,
    revoke_token,
)
from apono_portal.core.web.absolute_urls import absolute_url
from apono_portal.core.web.permissions import admins_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.users.models import User
from mfa.decorators import mfa_required
from requests_app.selectors import own_requests

PAGE_SIZE = 50


@require_safe
@never_cache
def tokens(request: PortalRequest) -> HttpResponse:
    return render(request, "api/tokens.html", {"tokens": tokens_of(request.user)})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@mfa_required
def create(request: PortalRequest) -> HttpResponse:
    """Create a token and show it, this once."""
    return _create(
        request, request.user, lambda terms: create_token(**action_context(request), terms=terms)
    )


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@mfa_required
def create_for_agent(request: PortalRequest) -> HttpResponse:
    """Create the token of an AI agent of the user's and show it, this once."""
    return _create(
        request,
        request.user,
        lambda terms: create_token(**action_context(request), terms=terms),
        form_class=AgentTokenForm,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@admins_only
def create_for_service(request: PortalRequest, pk: int) -> HttpResponse:
    """Create a token of a service account and show it, this once."""
    account = get_object_or_404(User, pk=pk, is_service=True, is_active=True)
    return _create(
        request,
        account,
        lambda terms: create_service_token(**action_context(request), account=account, terms=terms),
    )


@require_POST
def revoke(request: PortalRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(ApiToken.objects.of(request.user), pk=pk)
    _revoke(request, token)
    return redirect("api:tokens")


@require_safe
@admins_only
def everybodys_tokens(request: PortalRequest) -> HttpResponse:
    page = Paginator(all_tokens(), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "api/everybodys_tokens.html", {"page": page})


@require_POST
@admins_only
def revoke_as_admin(request: PortalRequest, pk: int) -> HttpResponse:
    _revoke(request, get_object_or_404(ApiToken, pk=pk))
    return redirect("api:everybodys_tokens")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@mfa_required
def confirm(request: PortalRequest, pk: int, request_pk: int) -> HttpResponse:
    """Let a token act on one of the user's own requests, as an API client asked for."""
    token = get_object_or_404(
        ApiToken.objects.of(request.user).select_related("user__mfa_state"), pk=pk
    )
    access_request = get_object_or_404(own_requests(request.user), pk=request_pk)
    if token.void_reason or not token.may_see(access_request):
        raise Http404
    if request.method == "POST":
        try:
            confirm_token(**action_context(request), token=token, request=access_request)
        except TokenError as error:
            messages.error(request, error.sentence)
        else:
            messages.success(request, f"{token.name} can act on {access_request.reference} now.")
        return redirect("requests:detail", pk=access_request.pk)
    context = {"token": token, "access_request": access_request}
    return render(request, "api/confirm_token.html", context)


def _create(
    request: PortalRequest,
    user: User,
    make: Callable[[TokenTerms], NewToken],
    form_class: type[TokenForm] = TokenForm,
) -> HttpResponse:
    form = form_class(request.POST if request.method == "POST" else None)
    back = "api:tokens" if user == request.user else "api:everybodys_tokens"
    context = {"form": form, "account": user, "back": back, "mcp_url": absolute_url("api:mcp")}
    if form.is_bound and form.is_valid():
        try:
            return render(request, "api/new_token.html", context | {"new": make(form.terms())})
        except TokenError as error:
            form.add_error(error.field or None, error.sentence)
    return render(request, "api/token_form.html", context, status=422 if form.errors else 200)


def _revoke(request: PortalRequest, token: ApiToken) -> None:
    if revoke_token(**action_context(request), token=token):
        messages.success(request, f"{token.name} was revoked.")
