"""Sealing of secrets the portal must be able to read back: TOTP keys, passwords, addresses of chats.

AES-SIV (RFC 5297) under a keyring from the environment. A sealed text is ``siv1.`` and base64url of
key id and ciphertext; version, purpose, key id and owner are bound to it as associated data, so a
text moved to another row does not open. ``siv1.`` + 20 bytes fits 80 characters.
"""

import base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from django.conf import settings

from apono_portal.core.crypto.keyring import newest_key_id, parse_keyring

VERSION = "siv1"
TOTP_KEY = "totp-key"
BROKER_PASSWORD = "broker-password"
WEBHOOK_ADDRESS = "webhook-address"
WEBHOOK_SECRET = "webhook-secret"


class DecryptionFailed(Exception):
    """The sealed text cannot be opened: another key, another owner, or tampered with."""


def seal(secret: bytes, *, purpose: str, owner: object) -> str:
    """Return ``secret`` sealed for ``owner`` under the newest key."""
    key_id = newest_key_id()
    sealed = _cipher(key_id).encrypt(secret, _bound_to(key_id, purpose, owner))
    packed = bytes([len(key_id)]) + key_id.encode() + sealed
    return f"{VERSION}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def decrypt(text: str, *, purpose: str, owner: object) -> bytes:
    """Return the secret, or raise `DecryptionFailed`."""
    key_id, sealed = _unpack(text)
    try:
        return _cipher(key_id).decrypt(sealed, _bound_to(key_id, purpose, owner))
    except InvalidTag:
        raise DecryptionFailed("The sealed text does not open for this owner.") from None


def key_id_of(text: str) -> str:
    """Return the id of the key a text was sealed with."""
    return _unpack(text)[0]


def _unpack(text: str) -> tuple[str, bytes]:
    version, _, encoded = text.partition(".")
    if version != VERSION:
        raise DecryptionFailed("The text is not sealed.")
    try:
        packed = base64.b64decode(
            encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True
        )
        length = packed[0]
        return packed[1 : 1 + length].decode("ascii"), packed[1 + length :]
    except (ValueError, IndexError):  # not base64, not ASCII, or too short
        raise DecryptionFailed("The sealed text is damaged.") from None


def _cipher(key_id: str) -> AESSIV:
    try:
        return AESSIV(parse_keyring(settings.ENCRYPTION_KEYS)[key_id])
    except KeyError:
        raise DecryptionFailed(
            "ENCRYPTION_KEYS does not hold the key this text was sealed with."
        ) from None


def _bound_to(key_id: str, purpose: str, owner: object) -> list[bytes]:
    return [VERSION.encode(), purpose.encode(), key_id.encode(), str(owner).encode()]
