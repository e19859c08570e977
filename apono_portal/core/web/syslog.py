"""Messages to a syslog server (RFC 5424): over UDP, TCP (RFC 6587) or TLS (RFC 5425)."""

import os
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

PRIORITY = 13 * 8 + 5  # log audit, notice
TIMEOUT_S = 5.0
REFUSAL_S = 0.5
DEFAULT_PORTS = {"udp": 514, "tcp": 514, "tls": 6514}


def parse_server(text: str) -> SplitResult:
    """Parse ``tls://host:port``, or raise ValueError with a sentence."""
    url = urlsplit(text)
    if url.scheme not in DEFAULT_PORTS or not url.hostname or url.path not in {"", "/"}:
        raise ValueError(
            "Enter a syslog server as udp://host:port, tcp://host:port or tls://host:port."
        )
    return url


@dataclass(frozen=True)
class Message:
    """A message, when what it says happened, and its id (MSGID of RFC 5424)."""

    text: str
    at: datetime
    message_id: str


def send_messages(server: str, messages: Sequence[Message], *, app: str) -> None:
    """Send messages in order over one connection; raise OSError if they were not accepted.

    Only TCP confirms that the server read them. TLS shows that the server is genuine, UDP nothing.
    """
    url = parse_server(server)
    address = (str(url.hostname), url.port or DEFAULT_PORTS[url.scheme])
    lines = [_format(message, app) for message in messages]
    if url.scheme == "udp":
        family, kind, protocol, _, target = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as channel:
            for line in lines:
                channel.sendto(line, target)
        return
    with socket.create_connection(address, TIMEOUT_S) as channel:
        if url.scheme == "tls":
            context = ssl.create_default_context()
            with context.wrap_socket(channel, server_hostname=address[0]) as secured:
                _send_counted(secured, lines)
                _wait_for_refusal(secured)
        else:
            _send_counted(channel, lines)
            _wait_for_end(channel)


def _format(message: Message, app: str) -> bytes:
    stamp = message.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    origin = f"{socket.gethostname()} {app} {os.getpid()} {message.message_id}"
    return f"<{PRIORITY}>1 {stamp} {origin} - \ufeff{message.text}".encode()


def _send_counted(channel: socket.socket, lines: Sequence[bytes]) -> None:
    """Send each with its length in front."""
    channel.sendall(b"".join(f"{len(line)} ".encode() + line for line in lines))


def _wait_for_end(channel: socket.socket) -> None:
    """Wait until the server closes too: then it has read everything."""
    channel.shutdown(socket.SHUT_WR)
    channel.settimeout(TIMEOUT_S)
    channel.recv(1)


def _wait_for_refusal(secured: ssl.SSLSocket) -> None:
    """Raise OSError if the server soon refuses the connection. Silence confirms nothing."""
    secured.settimeout(REFUSAL_S)
    with suppress(TimeoutError):
        secured.recv(1)
