"""Encryption of secrets the portal must read back: TOTP keys, passwords, webhook URLs, client secrets.

AES-SIV (RFC 5297) under a keyring from the environment. The encrypted text is ``siv1.`` and base64url
of key id and ciphertext. Version, purpose, key id and owner are bound to it as associated data, so a
text copied to another row does not decrypt. ``siv1.`` and a 20-byte secret fit in 80 characters.
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
CLIENT_SECRET = "client-secret"
ID_TOKEN = "id-token"
PROPOSED_CHANGE = "proposed-change"


class DecryptionFailed(Exception):
    """The text does not decrypt: wrong key, wrong owner, or damaged."""


def encrypt(secret: bytes, *, purpose: str, owner: object) -> str:
    """Return ``secret`` encrypted for ``owner`` with the newest key."""
    key_id = newest_key_id()
    ciphertext = _cipher(key_id).encrypt(secret, _associated_data(key_id, purpose, owner))
    packed = bytes([len(key_id)]) + key_id.encode() + ciphertext
    return f"{VERSION}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def decrypt(text: str, *, purpose: str, owner: object) -> bytes:
    """Return the secret, or raise `DecryptionFailed`."""
    key_id, ciphertext = _unpack(text)
    try:
        return _cipher(key_id).decrypt(ciphertext, _associated_data(key_id, purpose, owner))
    except InvalidTag:
        raise DecryptionFailed("The text does not decrypt for this owner.") from None


def key_id_of(text: str) -> str:
    """Return the id of the key that encrypted a text."""
    return _unpack(text)[0]


def _unpack(text: str) -> tuple[str, bytes]:
    version, _, encoded = text.partition(".")
    if version != VERSION:
        raise DecryptionFailed("The text is not encrypted.")
    try:
        packed = base64.b64decode(
            encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True
        )
        length = packed[0]
        return packed[1 : 1 + length].decode("ascii"), packed[1 + length :]
    except (ValueError, IndexError):  # not base64, not ASCII, or too short
        raise DecryptionFailed("The encrypted text is damaged.") from None


def _cipher(key_id: str) -> AESSIV:
    try:
        return AESSIV(parse_keyring(settings.ENCRYPTION_KEYS)[key_id])
    except KeyError:
        raise DecryptionFailed(
            "ENCRYPTION_KEYS does not contain the key that encrypted this text."
        ) from None


def _associated_data(key_id: str, purpose: str, owner: object) -> list[bytes]:
    return [VERSION.encode(), purpose.encode(), key_id.encode(), str(owner).encode()]
