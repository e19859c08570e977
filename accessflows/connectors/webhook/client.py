"""One signed call to a receiver: bounded in time and size, over TLS, following no redirect."""

import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

from accessflows.connectors.errors import TargetRefused, TargetUnavailable
from accessflows.connectors.protocol import Target
from accessflows.connectors.webhook.responses import Answer, sanitised
from accessflows.connectors.webhook.signing import key_of, signature_of

TOTAL_S = 15.0
MOST_BYTES = 512 * 1024
# Statuses after which the same call may well succeed; every status from 500 on is another.
AGAIN = frozenset({408, 409, 425, 429})


def call(
    target: Target, kind: str, data: Mapping[str, object], *, message_id: str | None = None
) -> Answer:
    """Send ``{"type": kind, "timestamp": now, "data": data}`` and return the receiver's answer.

    ``message_id`` stays the same when a step is tried again; the time in the body keeps two attempts
    within a second from being taken for a replay. Raises `TargetUnavailable` when trying
    again later is right, else `TargetRefused`.
    """
    return post(
        target,
        json.dumps(
            {"type": kind, "timestamp": datetime.now(UTC).isoformat(), "data": dict(data)}
        ).encode(),
        message_id=message_id or f"msg_{secrets.token_hex(16)}",
        key=key_of(target.password),
        timestamp=int(time.time()),
    )


def post(target: Target, body: bytes, *, message_id: str, key: bytes, timestamp: int) -> Answer:
    url = parsed_url(target.url)
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Connection": "close",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_of(key, message_id, timestamp, body),
    }
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        with _connection(url, target) as connection:
            connection.request("POST", path, body=body, headers=headers)
            with connection.getresponse() as response:
                content = response.read(MOST_BYTES + 1)
    except ssl.SSLCertVerificationError:
        raise TargetRefused(
            "The receiver's TLS certificate could not be verified. Mend it, or name its CA file."
        ) from None
    except (OSError, http.client.HTTPException):
        raise TargetUnavailable(
            f"The receiver at {url.hostname} does not answer. See whether it runs and is reachable."
        ) from None
    if len(content) > MOST_BYTES:
        raise TargetRefused("The receiver's answer is too long. It may have half a mebibyte.")
    return _judged(response.status, content, target)


def parsed_url(text: str) -> SplitResult:
    """Parse the address of a receiver, or raise `TargetRefused`: HTTPS, or HTTP on this machine."""
    try:
        url = urlsplit(text)
        port_is_good = url.port is None or url.port > 0
    except ValueError:
        raise TargetRefused("The receiver's address is not a URL. Correct it.") from None
    if not url.hostname or not port_is_good or any(not "!" <= char <= "~" for char in text):
        raise TargetRefused("The receiver's address is not a URL. Correct it.")
    if url.username is not None or url.password is not None or url.fragment:
        raise TargetRefused("Leave names, passwords and fragments out of the receiver's address.")
    if url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.hostname)):
        return url
    raise TargetRefused("Use an https:// address. Plain http:// is for 127.0.0.1 and ::1 only.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _connection(url: SplitResult, target: Target) -> Iterator[http.client.HTTPConnection]:
    """A connection that is cut after `TOTAL_S`, however slowly its bytes trickle."""
    host, timeout_s = str(url.hostname), float(target.connect_timeout_s)
    connection: http.client.HTTPConnection
    if url.scheme == "https":
        try:
            context = ssl.create_default_context(cafile=target.sslrootcert or None)
        except OSError:
            raise TargetRefused(
                "The CA certificate file cannot be read on the portal's machine. Correct its path."
            ) from None
        connection = http.client.HTTPSConnection(host, url.port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, url.port, timeout=timeout_s)
    connection.connect()
    line = connection.sock
    line.settimeout(float(target.statement_timeout_s))
    cutter = threading.Timer(TOTAL_S, _cut, [line])
    cutter.daemon = True
    cutter.start()
    try:
        yield connection
    finally:
        cutter.cancel()
        connection.close()
        line.close()


def _cut(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _judged(status: int, content: bytes, target: Target) -> Answer:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    if 200 <= status < 300:
        if isinstance(said, dict):
            return Answer(said)
        raise TargetRefused("The receiver did not answer with a JSON object. Mend the receiver.")
    sentence = sanitised(said.get("error"), target.password) if isinstance(said, dict) else ""
    told = f"The receiver answered {status}" + (f': "{sentence}"' if sentence else ".")
    if status >= 500 or status in AGAIN:
        raise TargetUnavailable(told)
    if 300 <= status < 400:
        raise TargetRefused(f"{told} Redirects are not followed; enter the final address.")
    raise TargetRefused(told)
