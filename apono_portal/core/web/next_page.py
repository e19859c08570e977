"""Where a user was going: the ``next`` page, carried through verification and set-up."""

from urllib.parse import urlencode

from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme


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
