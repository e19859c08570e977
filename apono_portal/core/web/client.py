"""The client of a request: its address, its browser, and the API token if it used one."""

from dataclasses import dataclass
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """The API token with which somebody acted, or an AI agent for them."""

    id: int
    name: str
    is_agent: bool = False


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Address, user agent and token of whoever acted; all empty for the portal itself."""

    address: str | None = None
    user_agent: str = ""
    token: TokenInfo | None = None

    @property
    def is_agent(self) -> bool:
        return self.token is not None and self.token.is_agent

    @classmethod
    def of(cls, request: HttpRequest, token: TokenInfo | None = None) -> "ClientInfo":
        return cls(client_address(request), request.headers.get("User-Agent", "")[:256], token)


SYSTEM = ClientInfo()


def client_address(request: HttpRequest) -> str | None:
    """Return the client's address, trusting the last ``TRUSTED_PROXIES`` entries of X-Forwarded-For.

    Each proxy appends the address of its peer (RFC 7239, section 5.2, has the same order). With n
    trusted proxies the n-th entry from the right is the client; entries left of it are untrusted.
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
