"""Signing out: back from the provider, and by the provider."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from apono_portal.sso.exceptions import ProviderUnreachable, SsoError
from apono_portal.sso.logout_tokens import accept_logout_token
from apono_portal.sso.models import IdentityProvider
from apono_portal.sso.provider_sessions import end_sessions, is_returning


@login_not_required
@require_GET
def signed_out(request: HttpRequest, slug: str) -> HttpResponse:
    """Come back from the provider's sign-out, which this browser must have begun."""
    provider = get_object_or_404(IdentityProvider, slug=slug)
    if is_returning(request, provider):
        messages.success(request, f"You are signed out here and at {provider}.")
    return redirect("users:sign_in")


@csrf_exempt
@login_not_required
@require_POST
def back_channel_logout(request: HttpRequest, slug: str) -> HttpResponse:
    """End the sessions that a logout token of the provider names. The token is the authentication."""
    provider = get_object_or_404(IdentityProvider, slug=slug)
    try:
        token = accept_logout_token(provider=provider, text=request.POST.get("logout_token", ""))
    except SsoError as error:
        status = 503 if isinstance(error, ProviderUnreachable) else 400
        body = {"error": "invalid_request", "error_description": error.sentence}
        return JsonResponse(body, status=status)
    end_sessions(provider=provider, sid=token.sid, subject=token.subject)
    return HttpResponse(status=200)
