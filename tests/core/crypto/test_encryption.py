"""Encryption: secrets in the database decrypt for their owner and purpose only, and with the key."""

import base64
import secrets

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from apono_portal.core.crypto import encryption
from apono_portal.core.crypto.encryption import DecryptionFailed, decrypt, encrypt
from apono_portal.core.crypto.keyring import parse_keyring
from mfa.models import Authenticator
from tests.factories import AuthenticatorFactory, UserFactory

PURPOSE = encryption.TOTP_KEY


def key(key_id: str = "k1", size: int = 64) -> str:
    return f"{key_id}:{base64.urlsafe_b64encode(secrets.token_bytes(size)).decode()}"


def test_table_holds_no_secret(db):
    device = AuthenticatorFactory()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM otp_totp_totpdevice")
        row = str(cursor.fetchall())
    for secret in (device.secret.hex(), base64.b32encode(device.secret).decode()):
        assert secret not in row


def test_encrypted_key_fits_its_column():
    longest = f"{'i' * 8}"
    assert len(encrypt(bytes(20), purpose=PURPOSE, owner=2**63)) <= 80
    assert (
        len(f"{encryption.VERSION}.") + len(base64.urlsafe_b64encode(bytes(1 + len(longest) + 36)))
        <= 80
    )


def test_key_moved_to_another_user_does_not_decrypt(db):
    moved = Authenticator(user_id=UserFactory().pk, key=AuthenticatorFactory().key)
    with pytest.raises(DecryptionFailed):
        _ = moved.bin_key


def test_broker_password_does_not_decrypt_as_a_totp_key():
    text = encrypt(bytes(20), purpose=encryption.BROKER_PASSWORD, owner=1)
    with pytest.raises(DecryptionFailed):
        decrypt(text, purpose=PURPOSE, owner=1)


def test_nothing_decrypts_without_its_key(settings):
    text = encrypt(b"secret", purpose=PURPOSE, owner=1)
    settings.ENCRYPTION_KEYS = key("other")
    with pytest.raises(DecryptionFailed, match="does not contain the key"):
        decrypt(text, purpose=PURPOSE, owner=1)


def test_key_of_the_same_id_does_not_decrypt(settings):
    settings.ENCRYPTION_KEYS = key("k1")
    text = encrypt(b"secret", purpose=PURPOSE, owner=1)
    settings.ENCRYPTION_KEYS = key("k1")
    with pytest.raises(DecryptionFailed, match="for this owner"):
        decrypt(text, purpose=PURPOSE, owner=1)


def test_newest_key_encrypts_and_older_ones_still_decrypt(settings):
    old, new = key("old"), key("new")
    settings.ENCRYPTION_KEYS = old
    text = encrypt(b"secret", purpose=PURPOSE, owner=1)
    settings.ENCRYPTION_KEYS = f"{new},{old}"
    assert decrypt(text, purpose=PURPOSE, owner=1) == b"secret"
    assert encryption.key_id_of(encrypt(b"x", purpose=PURPOSE, owner=1)) == "new"


def test_every_changed_character_breaks_it():
    text = encrypt(bytes(20), purpose=PURPOSE, owner=1)
    for place in range(len(text)):
        other = "A" if text[place] != "A" else "B"
        changed = text[:place] + other + text[place + 1 :]
        with pytest.raises(DecryptionFailed):
            decrypt(changed, purpose=PURPOSE, owner=1)


@pytest.mark.parametrize("stray", ["!", " ", "\n", "é"])
def test_ciphertext_has_one_spelling(stray):
    text = encrypt(bytes(20), purpose=PURPOSE, owner=1)
    with pytest.raises(DecryptionFailed):
        decrypt(f"{text[:9]}{stray}{text[9:]}", purpose=PURPOSE, owner=1)


@given(st.text(max_size=90))
def test_no_text_decrypts_by_chance_and_none_crashes(text):
    for attempt in (text, f"{encryption.VERSION}.{text}"):
        with pytest.raises(DecryptionFailed):
            decrypt(attempt, purpose=PURPOSE, owner=1)


@pytest.mark.parametrize(
    "text",
    ["", ",", "k1", "k1:", "k1:xxx", key(size=32), key("ninechars"), key("k-1"), key("é"), key("")],
    ids=[
        "empty",
        "comma",
        "no-key",
        "empty-key",
        "not-base64",
        "short",
        "long-id",
        "hyphen",
        "not-ascii",
        "no-id",
    ],
)
def test_malformed_keyring_is_refused(text):
    with pytest.raises(ImproperlyConfigured):
        parse_keyring(text)


def test_key_id_is_used_once():
    with pytest.raises(ImproperlyConfigured, match="appear once"):
        parse_keyring(f"{key('k1')},{key('k1')}")


def test_unencrypted_key_in_the_table_is_never_used(db):
    """A row written past the service, as django-otp's own default would write it."""
    planted = AuthenticatorFactory()
    Authenticator.objects.update(key=secrets.token_bytes(20).hex())
    planted.refresh_from_db()
    with pytest.raises(DecryptionFailed):
        planted.verify_token("123456")
