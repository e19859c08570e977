"""Responses shared by several pages: a conflict, and the way to the code and back."""

from django.http import HttpResponse
from django.shortcuts import redirect, render, resolve_url

from apono_portal.core.web.next_page import url_with_next
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
    page = "requests:step_up" if request.mfa.enrolled else "mfa:security"
    return redirect(url_with_next(page, next_url))
