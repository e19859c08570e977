"""Syslog over TLS: to a server whose certificate is trusted, and to no other."""

import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apono_portal.core.web import syslog
from apono_portal.core.web.syslog import Message, parse_server, send_messages
from tests.core.web.test_http_client import certificate, over_tls, server  # noqa: F401

AT = datetime(2026, 5, 31, 14, 18, 9, 250_000, tzinfo=UTC)


def send(port: int, scheme: str = "tls") -> None:
    send_messages(f"{scheme}://localhost:{port}", [Message("hello", AT, "test")], app="portal")


def test_message_over_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    frames: list[bytes] = []
    with server(over_tls(certificate, lambda line: frames.append(line.recv(4096)))) as port:
        send(port)
    length, _, message = frames[0].partition(b" ")
    assert int(length) == len(message)
    assert message.startswith(b"<109>1 2026-05-31T14:18:09.250Z ")
    assert message.endswith(" test - \ufeffhello".encode())


def test_unknown_certificate_is_refused(certificate: Path) -> None:  # noqa: F811
    def read(line: socket.socket) -> None:
        line.recv(4096)

    with server(over_tls(certificate, read)) as port, pytest.raises(OSError, match="CERTIFICATE"):
        send(port)


def test_tcp_server_that_never_reads_took_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "TIMEOUT_S", 0.2)
    is_over = threading.Event()

    def never_read(line: socket.socket) -> None:
        is_over.wait(10)

    with server(never_read) as port:
        with pytest.raises(TimeoutError):
            send(port, "tcp")
        is_over.set()


@pytest.mark.parametrize("text", ["", "host:514", "http://host", "udp://", "tls://host/path"])
def test_text_that_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Enter a syslog server as"):
        parse_server(text)
