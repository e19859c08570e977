"""Requests to other systems: to checked addresses, over verified TLS, bounded in time, no redirects."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from apono_portal.core.web.ssrf_guard import WEBHOOK_NETWORKS, check_url, permitted_addresses

CONNECT_S, TOTAL_S = 5.0, 15.0


@dataclass(frozen=True)
class Response:
    status: int
    content: bytes


class RequestFailed(Exception):
    """There is no response. ``sentence`` names the host alone: a webhook's path may be a secret."""

    def __init__(self, sentence: str, *, is_temporary: bool) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.is_temporary = is_temporary


@dataclass(frozen=True)
class Limits:
    """How much is read, for how long, and the setting that lists permitted private networks."""

    max_bytes: int = 0
    total_s: float | None = None  # None is `TOTAL_S`
    networks: str = WEBHOOK_NETWORKS


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    ca_certificates: str = "",
    max_bytes: int = 0,
) -> Response:
    """Send one POST and return the response, with at most ``max_bytes`` of its content.

    Raises `AddressRefused` or `RequestFailed`.
    """
    limits = Limits(max_bytes=max_bytes)
    return send("POST", url, body, headers, limits=limits, ca_certificates=ca_certificates)


def send(
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    limits: Limits,
    ca_certificates: str = "",
) -> Response:
    """Send one request and return the response. Raises `AddressRefused` or `RequestFailed`."""
    parts = check_url(url, limits.networks)
    host, is_tls = str(parts.hostname), parts.scheme == "https"
    context = _tls_context(ca_certificates) if is_tls else None
    port = parts.port or (443 if is_tls else 80)
    addresses = permitted_addresses(host, port, limits.networks)
    if not addresses:
        raise RequestFailed(f"The name {host} could not be looked up.", is_temporary=True)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    total_s = TOTAL_S if limits.total_s is None else limits.total_s
    try:
        with _connection(host, port, addresses, context, total_s) as connection:
            connection.request(method, path, body, {**headers, "Connection": "close"})
            with connection.getresponse() as response:
                return Response(response.status, response.read(limits.max_bytes))
    except ssl.SSLCertVerificationError:
        raise RequestFailed(
            f"The TLS certificate of {host} could not be verified. Renew it, or add its CA certificates.",
            is_temporary=False,
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise RequestFailed(
            f"{host} did not respond ({type(error).__name__}). Check that it is up and reachable.",
            is_temporary=True,
        ) from None


def _tls_context(ca_certificates: str) -> ssl.SSLContext:
    """Trust these certificates (PEM), or the system's if there are none."""
    try:
        return ssl.create_default_context(cadata=ca_certificates or None)
    except (ssl.SSLError, ValueError):
        raise RequestFailed(
            "The CA certificates cannot be read. Paste them again.", is_temporary=False
        ) from None


@contextmanager
def _connection(
    host: str,
    port: int,
    addresses: Sequence[str],
    context: ssl.SSLContext | None,
    total_s: float,
) -> Iterator[http.client.HTTPConnection]:
    """Connect to a checked address; ``host`` is for TLS and the Host header. Cut after ``total_s``."""
    give_up_at = time.monotonic() + total_s
    line = _open_socket(addresses, port, give_up_at)
    if context:
        line = context.wrap_socket(line, server_hostname=host, do_handshake_on_connect=False)
    # However slowly bytes trickle: a timeout of the socket's begins anew with each of them.
    timer = threading.Timer(give_up_at - time.monotonic(), _cut, [line])
    timer.daemon = True
    timer.start()
    connection = http.client.HTTPConnection(host, port)
    connection.default_port = 443 if context else 80  # not repeated in the Host header
    connection.sock = line
    try:
        line.settimeout(total_s)
        if isinstance(line, ssl.SSLSocket):
            line.do_handshake()
        yield connection
        if time.monotonic() >= give_up_at:
            raise TimeoutError  # what was read may be less than what was sent
    finally:
        timer.cancel()
        connection.close()
        line.close()


def _open_socket(addresses: Sequence[str], port: int, give_up_at: float) -> socket.socket:
    """Connect to the first address that answers."""
    failure: OSError = TimeoutError()
    for address in addresses:
        remaining_s = give_up_at - time.monotonic()
        if remaining_s <= 0:
            break
        try:
            return socket.create_connection((address, port), min(CONNECT_S, remaining_s))
        except OSError as error:
            failure = error
    raise failure


def _cut(line: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(line, socket.SHUT_RDWR)  # TLS is not asked: another thread is in it
