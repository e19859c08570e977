"""Answers several pages give: who was first, and the way to the code and back."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from requests_app.models import AccessRequest


def conflict(request: HttpRequest, sentence: str, about: AccessRequest) -> HttpResponse:
    """Say that somebody, or the clock, was first, and lead on (409)."""
    context = {"sentence": sentence, "about": about}
    return render(request, "requests_app/conflict.html", context, status=409)


def to_step_up(request: HttpRequest, about: AccessRequest, page: str = "detail") -> HttpResponse:
    """Lead to the code, or to set-up, and back to a page of this request."""
    return to_code(request, resolve_url(f"requests:{page}", pk=about.pk))


def to_code(request: HttpRequest, back: str) -> HttpResponse:
    """Lead to the code, or to set-up, and back to a page of the portal."""
    if not request.mfa.enrolled:  # type: ignore[attr-defined]
        return redirect("mfa:security")
    return redirect(f"{resolve_url('requests:step_up')}?{urlencode({'next': back})}")


def safe_next(request: HttpRequest) -> str:
    """Return the page asked for as the next, if it is one of the portal's."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    here = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if here else ""
