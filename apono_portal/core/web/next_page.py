"""Where a user was going: the ``next`` page, carried through verification and set-up."""

from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.utils.http import escape_leading_slashes, url_has_allowed_host_and_scheme

SAFE_METHODS = {"GET", "HEAD"}


def safe_next(request: HttpRequest) -> str:
    """Return the ``next`` page of the form or the address if it is one of the portal's, else ""."""
    next_url = request.POST.get("next") or request.GET.get("next") or ""
    is_safe = url_has_allowed_host_and_scheme(
        next_url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return next_url if is_safe else ""


def url_with_next(page: str, next_url: str, **query: str) -> str:
    """Return the address of a page that continues to ``next_url`` afterwards."""
    query = ({"next": next_url} if next_url else {}) | query
    url = resolve_url(page)
    return f"{url}?{urlencode(query)}" if query else url


def return_url(request: HttpRequest) -> str:
    """Return where to go after signing in or verifying: this page, or for a form the page it was on."""
    if request.method in SAFE_METHODS:
        return request.get_full_path()
    referer = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(
        referer, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        page = urlsplit(referer)
        return escape_leading_slashes(page.path) + (f"?{page.query}" if page.query else "")
    return resolve_url(settings.LOGIN_REDIRECT_URL)
