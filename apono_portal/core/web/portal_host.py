"""The one host name of a portal on this machine."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

SAFE_METHODS = {"GET", "HEAD"}


class PortalHostMiddleware:
    """Send a browser that opens 127.0.0.1 to localhost, where ``PORTAL_URL`` says so.

    Browsers keep separate cookies for the two names, and passkeys need a name. Programs, which accept
    anything, are answered at either.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        address = urlsplit(settings.PORTAL_URL)
        is_local = address.hostname == "localhost" and request.method in SAFE_METHODS
        is_browser = "text/html" in request.headers.get("Accept", "")
        if is_local and is_browser and request.META.get("HTTP_HOST") == f"127.0.0.1:{address.port}":
            return HttpResponseRedirect(f"{settings.PORTAL_URL}{request.get_full_path()}")
        return self.get_response(request)
