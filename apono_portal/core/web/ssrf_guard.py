"""Which addresses the portal sends requests to: public ones, and the networks that a setting lists.

`WEBHOOK_NETWORKS` is for webhooks, `SSO_NETWORKS` for identity providers. An admin types the URL, but the
portal's machine sends the request and may reach what the admin may not. So the portal looks the host up
itself, checks every address it has, and connects to a checked address and no other
(docs/notifications.md).
"""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
WEBHOOK_NETWORKS = "WEBHOOK_NETWORKS"
SSO_NETWORKS = "SSO_NETWORKS"
# All of IPv6 that is handed out for use in public. Elsewhere are site-local addresses and old forms in
# which an IPv4 address hides, which Python takes for public ones.
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
# Networks in which an IPv4 address hides (RFC 6052, 3056, 4380): never needed, so never allowed.
_HIDING = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


class AddressRefused(Exception):
    """The portal sends nothing there. ``sentence`` says why and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def check_url(text: str, setting: str = WEBHOOK_NETWORKS) -> SplitResult:
    """Parse a URL, or raise `AddressRefused`. Looks nothing up. ``setting`` lists private networks."""
    try:
        url = urlsplit(text)
        has_good_port = url.port is None or url.port > 0
    except ValueError:
        raise AddressRefused("This address is not a valid URL. Correct it.") from None
    if not url.hostname or not has_good_port or any(not "!" <= char <= "~" for char in text):
        raise AddressRefused("This address is not a valid URL. Correct it.")
    if url.username is not None or url.password is not None or url.fragment:
        raise AddressRefused("Remove user names, passwords and fragments from the address.")
    literal = _literal(url.hostname)
    if url.scheme != "https" and not (url.scheme == "http" and literal and literal.is_loopback):
        raise AddressRefused(
            "Use an https:// address. Plain http:// is for 127.0.0.1 and ::1 only."
        )
    if literal:
        require_permitted(literal, setting)
    return url


def permitted_addresses(host: str, port: int, setting: str = WEBHOOK_NETWORKS) -> list[str]:
    """Look a host up. One address that is not permitted refuses all; none means an unknown host."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    for address in addresses:
        require_permitted(ipaddress.ip_address(address.partition("%")[0]), setting)
    return addresses


def require_permitted(address: Address, setting: str = WEBHOOK_NETWORKS) -> None:
    """Raise `AddressRefused` unless an address is public or in a listed network."""
    plain = address
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        plain = address.ipv4_mapped
    never = plain.is_link_local or plain.is_multicast or plain.is_unspecified
    if never or any(plain in network for network in _HIDING):
        raise AddressRefused(
            "The portal never sends requests to this kind of address. Enter a different one."
        )
    listed = any(plain in network for network in getattr(settings, setting))
    is_public = plain.is_global and (plain.version == 4 or plain in _PUBLIC_IPV6)
    if not listed and not is_public:
        raise AddressRefused(
            f"This address is not public. An operator can add its network to {setting}."
        )


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
