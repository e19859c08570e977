"""Responses shared by several pages: a conflict, and the way to the code and back."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from apono_portal.core.web.types import PortalRequest
from requests_app.models import AccessRequest


def conflict_response(
    request: PortalRequest, sentence: str, access_request: AccessRequest
) -> HttpResponse:
    """Explain that something else came first, with a link to the request (409)."""
    context = {"sentence": sentence, "access_request": access_request}
    return render(request, "requests_app/conflict.html", context, status=409)


def verify_for_request(
    request: PortalRequest, access_request: AccessRequest, page: str = "detail"
) -> HttpResponse:
    """Redirect to the code, or to MFA set-up, and back to a page of this request."""
    return redirect_to_verification(request, resolve_url(f"requests:{page}", pk=access_request.pk))


def redirect_to_verification(request: PortalRequest, next_url: str) -> HttpResponse:
    """Redirect to the code, or to MFA set-up, and back to a page of the portal."""
    if not request.mfa.enrolled:
        return redirect("mfa:security")
    return redirect(f"{resolve_url('requests:step_up')}?{urlencode({'next': next_url})}")


def safe_next(request: HttpRequest) -> str:
    """Return the ``next`` page of the form or the address if it is one of the portal's, else ""."""
    next_url = request.POST.get("next") or request.GET.get("next") or ""
    is_safe = url_has_allowed_host_and_scheme(
        next_url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return next_url if is_safe else ""
