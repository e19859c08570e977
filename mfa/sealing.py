"""Sealing of secrets the portal must be able to read back: TOTP keys and broker passwords.

AES-SIV (RFC 5297) under a keyring from the environment. A sealed text is ``siv1.`` and base64url of
key id and ciphertext; version, purpose, key id and owner are bound to it as associated data, so a
text moved to another row does not open. ``siv1.`` + 20 bytes fits 80 characters.
"""

import base64
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

VERSION = "siv1"
TOTP_KEY = "totp-key"
BROKER_PASSWORD = "broker-password"
KEY_BYTES = 64


class SealBroken(Exception):
    """The sealed text cannot be opened: another key, another owner, or tampered with."""


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
            raise ImproperlyConfigured("SEALING_KEYS: a key id has 1 to 8 ASCII letters or digits.")
        if len(key) != KEY_BYTES or key_id in keyring:
            raise ImproperlyConfigured(
                f"SEALING_KEYS: key {key_id} must appear once and be {KEY_BYTES} bytes in base64url."
            )
        keyring[key_id] = key
    if not keyring:
        raise ImproperlyConfigured("SEALING_KEYS holds no key.")
    return keyring


def newest_key_id() -> str:
    return next(iter(parse_keyring(settings.SEALING_KEYS)))


def seal(secret: bytes, *, purpose: str, owner: object) -> str:
    """Return ``secret`` sealed for ``owner`` under the newest key."""
    key_id = newest_key_id()
    sealed = _cipher(key_id).encrypt(secret, _bound_to(key_id, purpose, owner))
    packed = bytes([len(key_id)]) + key_id.encode() + sealed
    return f"{VERSION}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def unseal(text: str, *, purpose: str, owner: object) -> bytes:
    """Return the secret, or raise `SealBroken`."""
    key_id, sealed = _unpack(text)
    try:
        return _cipher(key_id).decrypt(sealed, _bound_to(key_id, purpose, owner))
    except InvalidTag:
        raise SealBroken("The sealed text does not open for this owner.") from None


def sealed_with(text: str) -> str:
    """Return the id of the key a text was sealed with."""
    return _unpack(text)[0]


def is_sealed(text: str) -> bool:
    return text.startswith(f"{VERSION}.")


def _unpack(text: str) -> tuple[str, bytes]:
    version, _, encoded = text.partition(".")
    if version != VERSION:
        raise SealBroken("The text is not sealed.")
    try:
        packed = base64.b64decode(
            encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True
        )
        length = packed[0]
        return packed[1 : 1 + length].decode("ascii"), packed[1 + length :]
    except (ValueError, IndexError):  # not base64, not ASCII, or too short
        raise SealBroken("The sealed text is damaged.") from None


def _cipher(key_id: str) -> AESSIV:
    try:
        return AESSIV(parse_keyring(settings.SEALING_KEYS)[key_id])
    except KeyError:
        raise SealBroken("SEALING_KEYS does not hold the key this text was sealed with.") from None


def _bound_to(key_id: str, purpose: str, owner: object) -> list[bytes]:
    return [VERSION.encode(), purpose.encode(), key_id.encode(), str(owner).encode()]
