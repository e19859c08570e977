"""The address that passkeys are bound to: the host name and origin of ``PORTAL_URL``."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from mfa.exceptions import PasskeysUnavailable

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who asks for a passkey (WebAuthn, section 5.1.2), as the browser knows it."""

    rp_id: str
    name: str
    origin: str


def relying_party() -> RelyingParty:
    """Return the portal as browsers know it, or raise `PasskeysUnavailable`."""
    if reason := unavailable_reason():
        raise PasskeysUnavailable(reason)
    address = urlsplit(settings.PORTAL_URL)
    host = (address.hostname or "").lower()
    port = "" if address.port in {None, PORTS[address.scheme]} else f":{address.port}"
    return RelyingParty(host, settings.PORTAL_NAME, f"{address.scheme}://{host}{port}")


def is_offered(rp_id: str) -> bool:
    """Return whether browsers offer a passkey with this id at the portal's address."""
    return not unavailable_reason() and rp_id == relying_party().rp_id


def unavailable_reason() -> str:
    """Return why browsers offer no passkeys at the portal's address, or ""."""
    address = urlsplit(settings.PORTAL_URL)
    host = address.hostname or ""
    if _is_ip_address(host):
        return f"Passkeys need a host name. This portal's address is {host}, an IP address."
    if address.scheme != "https" and host != "localhost" and not host.endswith(".localhost"):
        return "Passkeys need HTTPS, and this portal's address is plain HTTP."
    return ""


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
