"""With verify-full only the genuine server is spoken to."""

import ipaddress
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.registry import connector_for
from apono_portal.demo.errors import DemoError
from apono_portal.demo.postgres_server import PostgresServer, available_versions
from apono_portal.demo.target import provision_target
from tests.fixtures.missing import skip_unless_ci
from tests.fixtures.postgres import PgTarget, StartServer

postgresql = connector_for("postgresql")


def write_certificate(folder: Path, name: str) -> None:
    """A self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@pytest.fixture(scope="module")
def tls_server(start_postgres: StartServer) -> Iterator[PgTarget]:
    """The newest version that was built with TLS; the wheel's programs are without it."""
    for version in sorted(available_versions(), reverse=True):
        server = start_postgres(version)
        write_certificate(server.home, "127.0.0.1")
        try:
            turn_tls_on(server)
        except DemoError:
            continue
        yield PgTarget(server, provision_target(server, "broker"), version)
        server.stop()
        return
    skip_unless_ci("No PostgreSQL with TLS was found. Install the system's postgresql package.")


def turn_tls_on(server: PostgresServer) -> None:
    owner = server.data.stat()
    key = server.home / "server.key"
    os.chown(key, owner.st_uid, owner.st_gid)
    key.chmod(0o600)
    server.stop()
    with (server.data / "postgresql.conf").open("a") as settings:
        settings.write(
            f"ssl = on\nssl_cert_file = '{server.home}/server.crt'\nssl_key_file = '{key}'\n"
        )
    server.start()


def test_genuine_server_is_accepted(tls_server: PgTarget) -> None:
    target = tls_server.with_target(
        sslmode="verify-full", ca_certificates=(tls_server.server.home / "server.crt").read_text()
    )
    assert postgresql.discover(target).resources


def test_server_with_another_certificate_is_refused(tls_server: PgTarget, tmp_path: Path) -> None:
    write_certificate(tmp_path, "127.0.0.1")
    target = tls_server.with_target(
        sslmode="verify-full", ca_certificates=(tmp_path / "server.crt").read_text()
    )
    with pytest.raises(TargetRefused, match=r"certificate .* can't be verified"):
        postgresql.discover(target)


def test_server_whose_certificate_names_another_host_is_refused(tls_server: PgTarget) -> None:
    target = tls_server.with_target(
        host="localhost",
        sslmode="verify-full",
        ca_certificates=(tls_server.server.home / "server.crt").read_text(),
    )
    with pytest.raises(TargetRefused, match=r"certificate .* can't be verified"):
        postgresql.discover(target)
