"""Posting a notice: signed, bounded in time, over TLS, to a judged address, following no redirect."""

import http.client
import socket
import ssl
import threading
import time
from urllib.parse import SplitResult, urlsplit

from accessflows.connectors.webhook.signing import key_of, signature_of
from apono_portal.core.crypto.encryption import DecryptionFailed
from apono_portal.notifications.models import Webhook
from apono_portal.notifications.ssrf_guard import AddressRefused, checked_url, permitted_addresses
from audit.models import Delivery
from audit.outbox.deliveries import DeliveryFailed

CONNECT_S, TOTAL_S = 5.0, 15.0
GONE = 410  # Standard Webhooks: the receiver wants no more


class _ToAddress(http.client.HTTPConnection):
    """A connection to the address that was judged. The host's name is for TLS and the Host header."""

    def __init__(self, url: SplitResult, address: str) -> None:
        secure = url.scheme == "https"
        super().__init__(str(url.hostname), url.port or (443 if secure else 80), timeout=CONNECT_S)
        self._address = address
        self._context = ssl.create_default_context() if secure else None

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), CONNECT_S)
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


def post_delivery(delivery: Delivery) -> None:
    """Post a delivery to its webhook, or raise `DeliveryFailed`. Tries of one delivery share their id."""
    webhook = Webhook.objects.filter(pk=int(delivery.recipient), is_active=True).first()
    if webhook is None:
        raise DeliveryFailed("The webhook was switched off or deleted.", is_final=True)
    try:
        url, key = urlsplit(checked_url(webhook.url)), key_of(webhook.secret)
        status = _post(
            url, delivery.body.encode(), f"msg_{delivery.pk}_{webhook.secret_id.hex}", key
        )
    except DecryptionFailed:
        raise DeliveryFailed(
            "ENCRYPTION_KEYS does not open this webhook's address or secret."
        ) from None
    except AddressRefused as refused:
        raise DeliveryFailed(refused.sentence) from None
    if not 200 <= status < 300:
        raise _refusal(status)


def _post(url: SplitResult, body: bytes, message_id: str, key: bytes) -> int:
    """Return the answer's status. Of an error only its kind is told: texts may hold the address."""
    port = url.port or (443 if url.scheme == "https" else 80)
    addresses = permitted_addresses(str(url.hostname), port)
    if not addresses:
        raise DeliveryFailed(f"The name {url.hostname} could not be looked up.", endpoint_down=True)
    connection = _connected(url, addresses)
    cutter = threading.Timer(TOTAL_S, _cut, [connection.sock])
    cutter.daemon = True
    cutter.start()
    at = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "Connection": "close",
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": signature_of(key, message_id, at, body),
    }
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        connection.sock.settimeout(TOTAL_S)
        connection.request("POST", path, body=body, headers=headers)
        with connection.getresponse() as answer:
            return answer.status
    except (OSError, http.client.HTTPException) as error:
        name = type(error).__name__
        raise DeliveryFailed(f"{url.hostname} broke off ({name}).", endpoint_down=True) from None
    finally:
        cutter.cancel()
        connection.close()


def _connected(url: SplitResult, addresses: list[str]) -> _ToAddress:
    why = ""
    for address in addresses:
        connection = _ToAddress(url, address)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError:
            connection.close()
            raise DeliveryFailed(
                f"The TLS certificate of {url.hostname} could not be verified.", endpoint_down=True
            ) from None
        except OSError as error:
            connection.close()
            why = type(error).__name__
        else:
            return connection
    raise DeliveryFailed(f"{url.hostname} does not answer ({why}).", endpoint_down=True)


def _cut(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _refusal(status: int) -> DeliveryFailed:
    if status == GONE:
        return DeliveryFailed("The webhook answered 410: it wants no more.", is_final=True)
    if 300 <= status < 400:
        return DeliveryFailed(f"The webhook answered {status}. Redirects are not followed.")
    return DeliveryFailed(f"The webhook answered {status}.")
