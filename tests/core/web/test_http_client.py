"""The HTTP client for webhooks, against real servers on loopback."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from apono_portal.core.web import http_client
from apono_portal.core.web.http_client import RequestFailed, post
from apono_portal.core.web.ssrf_guard import AddressRefused

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
Talk = Callable[[socket.socket], None]


@pytest.fixture(autouse=True)
def _loopback_is_listed(settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]


@contextmanager
def server(talk: Talk) -> Iterator[int]:
    """A server that gives its first connection to ``talk``. Yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                line, _ = listener.accept()
                with line:
                    talk(line)
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def answering(answer: bytes, requests: list[bytes]) -> Talk:
    def talk(line: socket.socket) -> None:
        request = b""
        while not request.endswith(b"{}"):
            request += line.recv(65536)
        requests.append(request)
        line.sendall(answer)

    return talk


def trickling(beginning: bytes) -> Talk:
    def talk(line: socket.socket) -> None:
        line.sendall(beginning)
        for _ in range(100):
            line.sendall(b"x")
            time.sleep(0.05)

    return talk


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate of localhost and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )
    return file


def over_tls(certificate: Path, talk: Talk) -> Talk:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def talk_tls(line: socket.socket) -> None:
        with context.wrap_socket(line, server_side=True) as secure:
            talk(secure)

    return talk_tls


def test_response_is_read_up_to_the_limit() -> None:
    requests: list[bytes] = []
    with server(answering(ANSWER, requests)) as port:
        response = post(f"http://127.0.0.1:{port}/a?b=c", b"{}", {"X-A": "b"}, max_bytes=4)
    assert (response.status, response.content) == (200, b"hell")
    head = requests[0].decode()
    assert head.startswith("POST /a?b=c HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{port}\r\n" in head
    assert "\r\nX-A: b\r\n" in head


def test_content_is_not_read_unless_asked_for() -> None:
    with server(answering(ANSWER, [])) as port:
        assert post(f"http://127.0.0.1:{port}/", b"{}", {}).content == b""


def test_redirect_is_not_followed() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with server(answering(answer, [])) as port:
        assert post(f"http://127.0.0.1:{port}/", b"{}", {}).status == 302


def test_private_address_is_refused_before_anything_is_sent(settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = []
    requests: list[bytes] = []
    with server(answering(ANSWER, requests)) as port, pytest.raises(AddressRefused):
        post(f"https://localhost:{port}/", b"{}", {})
    assert requests == []


def test_host_is_looked_up_once(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second answer of the name server, after the check, would lead elsewhere."""
    looked_up: list[str] = []
    look_up = socket.getaddrinfo

    def counting(host: str, *arguments: object, **options: object) -> object:
        looked_up.append(host)
        host = "127.0.0.1" if looked_up.count(host) == 1 else "127.0.0.2"
        return look_up(host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", counting)
    with server(over_tls(certificate, answering(ANSWER, []))) as port:
        assert (
            post(
                f"https://localhost:{port}/", b"{}", {}, ca_certificates=certificate.read_text()
            ).status
            == 200
        )
    assert looked_up.count("localhost") == 1


def test_certificate_of_a_named_authority_is_trusted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _localhost_is_ipv4(monkeypatch)
    with server(over_tls(certificate, answering(ANSWER, []))) as port:
        response = post(
            f"https://localhost:{port}/",
            b"{}",
            {},
            ca_certificates=certificate.read_text(),
            max_bytes=9,
        )
    assert (response.status, response.content) == (200, b"hello")


def test_unknown_certificate_is_refused(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _localhost_is_ipv4(monkeypatch)
    requests: list[bytes] = []
    with (
        server(over_tls(certificate, answering(ANSWER, requests))) as port,
        pytest.raises(RequestFailed, match="TLS certificate of localhost") as failed,
    ):
        post(f"https://localhost:{port}/", b"{}", {})
    assert not failed.value.is_temporary
    assert requests == []


def test_certificate_of_another_host_is_refused(certificate: Path) -> None:
    with (
        server(over_tls(certificate, answering(ANSWER, []))) as port,
        pytest.raises(RequestFailed, match="TLS certificate"),
    ):
        post(f"https://127.0.0.1:{port}/", b"{}", {}, ca_certificates=certificate.read_text())


def test_invalid_ca_certificates_are_a_sentence() -> None:
    with pytest.raises(RequestFailed, match="CA certificates cannot be read"):
        post("https://127.0.0.1:1/", b"{}", {}, ca_certificates="not a certificate")


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_slow_response_is_cut_after_the_total_time(
    monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(http_client, "TOTAL_S", 0.5)
    began = time.monotonic()
    with (
        server(trickling(beginning)) as port,
        pytest.raises(RequestFailed, match="did not respond") as failed,
    ):
        post(f"http://127.0.0.1:{port}/", b"{}", {}, max_bytes=1000)
    assert failed.value.is_temporary
    assert time.monotonic() - began < 2


def test_slow_tls_handshake_is_cut_after_the_total_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "TOTAL_S", 0.5)
    began = time.monotonic()
    with (
        server(trickling(b"\x16\x03\x03\x3f\x00")) as port,  # a record of 16,128 bytes
        pytest.raises(RequestFailed) as failed,
    ):
        post(f"https://127.0.0.1:{port}/", b"{}", {})
    assert failed.value.is_temporary
    assert time.monotonic() - began < 2


def test_failure_names_the_host_and_not_the_path() -> None:
    with pytest.raises(RequestFailed, match=r"127\.0\.0\.1 did not respond") as failed:
        post("http://127.0.0.1:1/T0P-S3CRET", b"{}", {})
    assert "T0P-S3CRET" not in failed.value.sentence
    with pytest.raises(RequestFailed, match="could not be looked up"):
        post("https://no-such-host.invalid/", b"{}", {})


def _localhost_is_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only 127.0.0.0/8 is listed, and localhost may have an address of IPv6, too."""
    monkeypatch.setattr(http_client, "permitted_addresses", lambda *_: ["127.0.0.1"])
