"""Signatures of the Standard Webhooks specification: HMAC-SHA256 over id, timestamp and body."""

import base64
import binascii
import hashlib
import hmac

from accessflows.connectors.errors import TargetRefused

SECRET_PREFIX = "whsec_"
KEY_BYTES = range(24, 65)


def key_of(secret: str) -> bytes:
    """Return the key of a secret in its written form: ``whsec_`` and base64 of 24 to 64 bytes."""
    encoded = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if encoded == secret or len(key) not in KEY_BYTES:
        raise TargetRefused(
            "The signing secret is invalid. It starts with whsec_, followed by base64 of 24 to 64 "
            "bytes."
        ) from None
    return key


def signature_of(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header ``webhook-signature``."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def signed_headers(key: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a signed JSON body."""
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_of(key, message_id, timestamp, body),
    }
