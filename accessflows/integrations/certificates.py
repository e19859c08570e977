"""Certificates of the authorities that an integration trusts, as PEM text (RFC 7468)."""

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

MAX_LENGTH = 64 * 1024


class InvalidCertificates(ValueError):
    """``str()`` is a sentence for the user."""


def parse_certificates(text: str) -> str:
    """Return the certificates of a PEM text and nothing else of it; empty for an empty text.

    Raises `InvalidCertificates`.
    """
    if not text.strip():
        return ""
    if "PRIVATE KEY" in text:
        raise InvalidCertificates("This contains a private key. Paste certificates only.")
    try:
        certificates = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise InvalidCertificates(
            "Paste certificates in PEM format. Each begins with -----BEGIN CERTIFICATE-----."
        ) from None
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates)


def describe_certificates(text: str) -> str:
    """Return the fingerprints of certificates, for the audit log."""
    certificates = x509.load_pem_x509_certificates(text.encode()) if text else []
    return ", ".join(
        f"SHA-256 {certificate.fingerprint(SHA256()).hex()}" for certificate in certificates
    )
