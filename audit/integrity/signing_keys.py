"""The keys of signed checkpoints: workers have a private one, every process the public ones."""

from functools import cache
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from audit.verify_export.signed_notes import (
    InvalidNote,
    PublicKey,
    SigningKey,
    parse_public_key,
    parse_signing_key,
)


def signing_key() -> SigningKey | None:
    """Return this process's private key, None if it has none. Raises `ImproperlyConfigured`."""
    return _read_key(settings.AUDIT_SIGNING_KEY, settings.AUDIT_SIGNING_KEY_FILE)


def public_keys() -> list[PublicKey]:
    """Return the keys that signatures are checked with, former ones included."""
    try:
        keys = [parse_public_key(text) for text in settings.AUDIT_PUBLIC_KEYS]
    except InvalidNote as error:
        raise ImproperlyConfigured(f"AUDIT_PUBLIC_KEYS: {error}") from None
    own = signing_key()
    return keys if own is None or own.public_key in keys else [own.public_key, *keys]


@cache
def _read_key(text: str, file: str) -> SigningKey | None:
    if text and file:
        raise ImproperlyConfigured("Set AUDIT_SIGNING_KEY or AUDIT_SIGNING_KEY_FILE, not both.")
    try:
        text = Path(file).read_text().strip() if file else text
        return parse_signing_key(text) if text else None
    except OSError as error:
        raise ImproperlyConfigured(
            f"AUDIT_SIGNING_KEY_FILE cannot be read: {error.strerror}. Correct the path, or its owner."
        ) from None
    except ValueError as error:
        raise ImproperlyConfigured(f"AUDIT_SIGNING_KEY: {error}") from None
