"""Keys of one host: the portal's, derived from one secret, and those that grantees get.

Certificates are in the format of OpenSSH (PROTOCOL.certkeys), made and signed by cryptography.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
)

from accessflows.connectors.errors import TargetRefused

MIN_SECRET_LENGTH = 32
_HOST_KEY = re.compile(
    r"(?P<type>ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) (?P<key>[A-Za-z0-9+/]{40,900}={0,2})"
    r"(?: [ -~]*)?"
)
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class HostKey:
    """A host's public key, as known_hosts has it."""

    type: str
    key: str

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(base64.b64decode(self.key)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    @property
    def algorithms(self) -> str:
        """Return the signature algorithms of this type of key, without SHA-1."""
        return "rsa-sha2-512,rsa-sha2-256" if self.type == "ssh-rsa" else self.type

    def known_hosts(self, host: str, port: int) -> str:
        name = host if port == 22 else f"[{host}]:{port}"
        return f"{name} {self.type} {self.key}\n"


@dataclass(frozen=True)
class IssuedKey:
    """A new key pair with its certificate."""

    private_key: str
    certificate: str


def parse_host_key(line: str) -> HostKey | None:
    """Return the key in a line of a .pub file or of ssh-keyscan, or None."""
    match = _HOST_KEY.search(line.strip())
    if match is None:
        return None
    try:
        base64.b64decode(match["key"], validate=True)
    except ValueError:
        return None
    return HostKey(match["type"], match["key"])


def check_secret(secret: str) -> None:
    """Raise TargetRefused for a secret that is too short to derive keys from."""
    if len(secret) < MIN_SECRET_LENGTH or not secret.isascii():
        raise TargetRefused(
            f"Use the generated secret, or at least {MIN_SECRET_LENGTH} random characters."
        )


def broker_key(secret: str) -> Ed25519PrivateKey:
    """Return the key with which the broker signs in."""
    return _derived(secret, b"broker")


def authority_key(secret: str) -> Ed25519PrivateKey:
    """Return the key that signs grantees' certificates."""
    return _derived(secret, b"certificate authority")


def public_line(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def private_text(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def issue_key(secret: str, *, key_id: str, principal: str, deadline: datetime) -> IssuedKey:
    """Make a key pair and certify it until the deadline. `key_id` is what the host's log shows."""
    key = Ed25519PrivateKey.generate()
    certificate = (
        SSHCertificateBuilder()
        .public_key(key.public_key())
        .serial(secrets.randbits(63))
        .type(SSHCertificateType.USER)
        .key_id(key_id.encode())
        .valid_principals([principal.encode()])
        .valid_after(_EARLIEST.timestamp())
        .valid_before(int(deadline.timestamp()))
        .add_extension(b"permit-pty", b"")
        .sign(authority_key(secret))
    )
    return IssuedKey(private_text(key), certificate.public_bytes().decode())


def _derived(secret: str, purpose: bytes) -> Ed25519PrivateKey:
    derivation = HKDF(hashes.SHA256(), 32, salt=None, info=b"apono-portal linux " + purpose)
    return Ed25519PrivateKey.from_private_bytes(derivation.derive(secret.encode()))
