"""From where something was done."""

from dataclasses import dataclass
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Address and browser of whoever acted; both empty for the portal's own deeds."""

    address: str | None = None
    user_agent: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> "ClientInfo":
        return cls(client_address(request), request.headers.get("User-Agent", "")[:256])


SYSTEM = ClientInfo()


def client_address(request: HttpRequest) -> str | None:
    """Return the client's address, believing only ``TRUSTED_PROXIES`` entries of X-Forwarded-For.

    Each proxy appends the address it was called from (RFC 7239, section 5.2 has the same order), so
    with n trusted proxies the n-th entry from the right is the client; what stands left of it was
    written by the client itself.
    """
    candidate = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXIES:
        forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
        if len(forwarded) >= settings.TRUSTED_PROXIES:
            candidate = forwarded[-settings.TRUSTED_PROXIES]
    try:
        return str(ip_address(candidate))
    except ValueError:
        return None
