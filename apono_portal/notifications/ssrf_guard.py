"""Where webhooks may be posted to: public addresses, and the networks listed in WEBHOOK_NETWORKS.

An admin types the address, but the portal's machine sends the request, and may reach what the admin
may not. So the name is looked up here, every address it has is judged, and the connection goes to
the address that was judged and no other (docs/notices.md).
"""

import ipaddress
import socket

from django.conf import settings

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.webhook.client import parsed_url

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# All of IPv6 that is handed out for use in public. Elsewhere are site-local addresses and old forms in
# which an IPv4 address hides, which Python takes for public ones.
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
# Networks in which an IPv4 address hides (RFC 6052, 3056, 4380): never needed, so never allowed.
_HIDING = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


class AddressRefused(Exception):
    """The portal posts nothing there. ``sentence`` says why and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def checked_url(text: str) -> str:
    """Return a webhook's address if it may be one, or raise `AddressRefused`. Looks nothing up."""
    try:
        url = parsed_url(text)
    except TargetRefused as refused:
        raise AddressRefused(refused.sentence.replace("receiver's", "webhook's")) from None
    try:
        literal = ipaddress.ip_address(str(url.hostname))
    except ValueError:
        return text
    require_permitted(literal)
    return text


def permitted_addresses(host: str, port: int) -> list[str]:
    """Look a host up and return its addresses; one that is not permitted refuses all of them."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in texts:
        require_permitted(ipaddress.ip_address(text.partition("%")[0]))
    return texts


def require_permitted(address: Address) -> None:
    """Raise `AddressRefused` unless an address is public or in a listed network."""
    plain = address
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        plain = address.ipv4_mapped
    never = plain.is_link_local or plain.is_multicast or plain.is_unspecified
    if never or any(plain in network for network in _HIDING):
        raise AddressRefused("No webhook is posted to such an address. Enter another.")
    listed = any(plain in network for network in settings.WEBHOOK_NETWORKS)
    is_public = plain.is_global and (plain.version == 4 or plain in _PUBLIC_IPV6)
    if not listed and not is_public:
        raise AddressRefused(
            "This address is not a public one. Whoever runs the portal can list its network in "
            "WEBHOOK_NETWORKS."
        )
