"""Responses shared by several pages: a conflict, and the way to the code and back."""

from collections.abc import Iterable

from django.http import HttpResponse
from django.shortcuts import redirect, render, resolve_url

from apono_portal.core.web.next_page import url_with_next
from apono_portal.core.web.types import PortalRequest
from mfa.exceptions import WindowClosed
from mfa.middleware import AGAIN, DEVICE_BOUND, PASSKEY
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
    """Redirect to the verification, or to MFA set-up, and back to a page of this request."""
    next_url = resolve_url(f"requests:{page}", pk=access_request.pk)
    return redirect_to_verification(request, next_url, needs=needs_of([access_request]))


def redirect_to_verification(
    request: PortalRequest, next_url: str, *, needs: str = ""
) -> HttpResponse:
    """Redirect to the verification, or to MFA set-up, and back to a page of the portal.

    ``needs`` is what the page shall offer, as `needs_of` returns it.
    """
    if not request.mfa.enrolled:
        return redirect(url_with_next("mfa:security", next_url))
    query = {"needs": needs} if needs else {}
    return redirect(url_with_next("requests:step_up", next_url, **query))


def needs_of(requests: Iterable[AccessRequest]) -> str:
    """Return the passkey that all of the requests demand, "again" where an open window doesn't help."""
    requirements = [request.mfa_requirement() for request in requests]
    if all(requirement.needs_device_bound for requirement in requirements):
        return DEVICE_BOUND
    if all(requirement.needs_passkey for requirement in requirements):
        return PASSKEY
    return AGAIN if any(requirement.purpose for requirement in requirements) else ""


def sentence_of(refusal: WindowClosed, otherwise: str) -> str:
    """Return what to tell the user: what the flow demands, if an open window is not enough."""
    return otherwise if type(refusal) is WindowClosed else f"{refusal} {otherwise}".strip()
