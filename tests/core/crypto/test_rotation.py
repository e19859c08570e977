"""Key rotation: resumable, in batches, while users verify."""

import base64
import secrets

import pytest
from django.core.management import CommandError, call_command

from apono_portal.api.tokens.secrets import new_secret
from apono_portal.core.crypto import encryption
from apono_portal.core.crypto.authenticity import AuthenticatedRow
from apono_portal.core.crypto.rotation import EncryptedField, rotate_keys
from apono_portal.management.commands.rotate_keys import encrypted_fields
from audit.events import EventName
from audit.models import Event
from mfa.models import Authenticator
from tests.factories import (
    BROKER_PASSWORD,
    AuthenticatorFactory,
    IntegrationFactory,
    PasskeyFactory,
    TokenFactory,
    code_for,
)
from tests.mfa.conftest import enter_code


def new_key(key_id: str) -> str:
    return f"{key_id}:{base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()}"


@pytest.fixture
def devices(db) -> list[Authenticator]:
    return AuthenticatorFactory.create_batch(7)


@pytest.fixture
def rotated(settings, devices):
    """A newest key beside the one the devices were encrypted with."""
    settings.ENCRYPTION_KEYS = f"{new_key('next')},{settings.ENCRYPTION_KEYS}"
    return settings


def keys() -> EncryptedField:
    return EncryptedField(Authenticator.objects.all(), "key", encryption.TOTP_KEY, "user_id")


def key_id_of() -> set[str]:
    return {
        encryption.key_id_of(key) for key in Authenticator.objects.values_list("key", flat=True)
    }


def test_everything_is_encrypted_with_the_newest_key_and_decrypts_without_the_old(rotated, devices):
    call_command("rotate_keys")
    assert key_id_of() == {"next"}
    rotated.ENCRYPTION_KEYS = rotated.ENCRYPTION_KEYS.split(",")[0]
    for device in devices:
        assert Authenticator.objects.get(pk=device.pk).bin_key == device.secret


def test_broker_passwords_are_rotated_too(rotated, devices):
    integration = IntegrationFactory()
    rotated.ENCRYPTION_KEYS = f"{new_key('last')},{rotated.ENCRYPTION_KEYS}"
    call_command("rotate_keys")
    rotated.ENCRYPTION_KEYS = rotated.ENCRYPTION_KEYS.split(",")[0]
    integration.refresh_from_db()
    assert integration.broker_password == BROKER_PASSWORD


def test_passkeys_and_tokens_count_without_the_old_key(rotated):
    rotated.ENCRYPTION_KEYS, both = rotated.ENCRYPTION_KEYS.split(",")[1], rotated.ENCRYPTION_KEYS
    passkey, token = PasskeyFactory(), TokenFactory(secret=new_secret())
    rotated.ENCRYPTION_KEYS = both
    call_command("rotate_keys")
    rotated.ENCRYPTION_KEYS = both.split(",")[0]
    for row in (passkey, token):
        row.refresh_from_db()
        assert row.is_authentic


def test_no_signed_row_is_left_out():
    """A new model with a MAC: add it to the command, or its rows are void once the old key is removed."""
    rotated = {fields.rows.model for fields in encrypted_fields().values()}
    assert set(AuthenticatedRow.__subclasses__()) <= rotated


def test_interrupted_run_is_resumed(rotated, devices):
    for progress in rotate_keys(keys(), batch_size=2):
        if progress.seen == 4:
            break
    assert key_id_of() == {"t1", "next"}
    last = list(rotate_keys(keys(), batch_size=2))[-1]
    assert (last.seen, last.rotated) == (7, 3)
    assert key_id_of() == {"next"}


def test_second_run_changes_nothing(rotated, devices):
    call_command("rotate_keys")
    before = list(Authenticator.objects.order_by("pk").values_list("key", flat=True))
    call_command("rotate_keys")
    assert list(Authenticator.objects.order_by("pk").values_list("key", flat=True)) == before


def test_only_the_key_is_written(rotated, devices):
    """A verification that happened meanwhile is not undone: its step stays spent."""
    stale = rotate_keys(keys(), batch_size=100)
    Authenticator.objects.update(last_t=99)
    next(stale)
    assert set(Authenticator.objects.values_list("last_t", flat=True)) == {99}


def test_codes_work_after_rotation(rotated, devices):
    for _ in rotate_keys(keys(), batch_size=3):
        pass
    assert enter_code(devices[0].user, code_for(devices[0])).ok


def test_row_that_does_not_decrypt_is_named_and_left_alone(rotated, devices):
    Authenticator.objects.filter(pk=devices[2].pk).update(key="siv1.AAAA")
    with pytest.raises(CommandError, match=rf"\[{devices[2].pk}\]"):
        call_command("rotate_keys")
    assert Authenticator.objects.get(pk=devices[2].pk).key == "siv1.AAAA"
    assert (
        sum(key.startswith("siv1.") for key in Authenticator.objects.values_list("key", flat=True))
        == 7
    )


def test_row_that_does_not_decrypt_is_not_counted(rotated, devices):
    Authenticator.objects.filter(pk=devices[2].pk).update(key="siv1.AAAA")
    [*_, last] = rotate_keys(keys(), batch_size=3)
    assert (last.seen, last.rotated, last.failed) == (7, 6, [devices[2].pk])


def test_rotation_is_recorded_with_counts_and_without_keys(rotated, devices):
    call_command("rotate_keys")
    event = Event.objects.get(event=EventName.MFA_ROTATE_KEYS)
    assert event.metadata == {
        "key": "next",
        "TOTP keys": 7,
        "Broker passwords": 0,
        "Webhook addresses": 0,
        "Webhook secrets": 0,
        "Client secrets": 0,
        "ID tokens": 0,
        "Verifications": 0,
        "Requests": 0,
        "Decisions": 0,
        "Extensions": 0,
        "Grants": 0,
        "Pending changes": 0,
        "Proposed changes": 0,
        "Passkeys": 0,
        "API tokens": 0,
        "Confirmations of tokens": 0,
        "Confirmations of plans": 0,
        "broken": 0,
    }
    assert "siv1" not in str(event.__dict__)


def test_queries_grow_with_batches_not_rows(rotated, devices, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        list(rotate_keys(keys(), batch_size=5))
