"""The keyring from the environment, and the keys derived from it for MACs."""

import base64
from functools import cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

KEY_BYTES = 64
CHAIN_PURPOSE = b"audit checkpoint chain 1"
ROW_PURPOSE = b"row authenticity 1"


@cache
def parse_keyring(text: str) -> dict[str, bytes]:
    """Return ``{key id: 64 bytes}`` from ``id:base64url,...``, newest first."""
    keyring: dict[str, bytes] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        key_id, _, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, altchars=b"-_", validate=True)
        except ValueError:
            key = b""
        if not (0 < len(key_id) <= 8 and key_id.isascii() and key_id.isalnum()):
            raise ImproperlyConfigured(
                "ENCRYPTION_KEYS: a key id has 1 to 8 ASCII letters or digits."
            )
        if len(key) != KEY_BYTES or key_id in keyring:
            raise ImproperlyConfigured(
                f"ENCRYPTION_KEYS: key {key_id} must appear once and be {KEY_BYTES} bytes in base64url."
            )
        keyring[key_id] = key
    if not keyring:
        raise ImproperlyConfigured("ENCRYPTION_KEYS contains no key.")
    return keyring


def key_ids() -> list[str]:
    """Return the ids of all keys, newest first."""
    return list(parse_keyring(settings.ENCRYPTION_KEYS))


def newest_key_id() -> str:
    return key_ids()[0]


def chain_keys() -> dict[str, bytes]:
    """Return ``{key id: 32 bytes}``: the key derived from each for checkpoint MACs (RFC 5869).

    It verifies and makes checkpoints but decrypts nothing.
    """
    return _derive_keys(settings.ENCRYPTION_KEYS, CHAIN_PURPOSE)


def row_keys() -> dict[str, bytes]:
    """Return ``{key id: 32 bytes}``: the keys of the MACs on rows that permit access."""
    return _derive_keys(settings.ENCRYPTION_KEYS, ROW_PURPOSE)


@cache
def _derive_keys(keyring: str, purpose: bytes) -> dict[str, bytes]:
    return {
        key_id: HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(key)
        for key_id, key in parse_keyring(keyring).items()
    }
