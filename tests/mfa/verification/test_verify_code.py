"""Whose code counts, and what every attempt leaves behind."""

import base64

import pyotp
import pytest
import time_machine
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from audit.events import EventName
from audit.models import Event
from mfa.models import Authenticator, MfaState, Outcome, Verification
from mfa.verification.throttle_scope import ThrottleScope
from tests.factories import AuthenticatorFactory, UserFactory, code_for
from tests.mfa.conftest import HERE, wrong_for


def test_right_code_is_evidence_of_person_device_and_epoch(person, device, enter):
    state = MfaState.objects.get(user=person)
    result = enter(code_for(device))
    row = Verification.objects.get()
    assert result.ok
    assert not result.must_end_session
    assert result.verification == row
    assert (row.user, row.device_id, row.device_name) == (person, device.pk, device.name)
    assert (row.epoch, row.scope, row.address) == (state.epoch, "unknown", HERE.address)


def test_wrong_code_writes_nothing_on_the_authenticator(device, enter):
    before = type(device).objects.filter(pk=device.pk).values().get()
    assert enter(wrong_for(device)).outcome == Outcome.BAD
    assert type(device).objects.filter(pk=device.pk).values().get() == before


def test_wrong_code_is_an_outcome_and_is_stored(device, enter):
    result = enter(wrong_for(device))
    assert result.outcome == Outcome.BAD
    assert Verification.objects.get().outcome == Outcome.BAD


@pytest.mark.parametrize(
    ("outcome", "event"),
    [(Outcome.OK, EventName.MFA_VERIFY), (Outcome.BAD, EventName.MFA_REFUSE)],
)
def test_each_attempt_is_recorded_without_its_code(person, device, enter, outcome, event):
    code = code_for(device) if outcome == Outcome.OK else wrong_for(device)
    enter(code)
    entry = Event.objects.get(event=event)
    assert entry.actor_id == person.pk
    assert entry.address == HERE.address
    assert entry.metadata["authenticator"] == device.name
    assert code not in str(entry.__dict__)
    assert code not in str(Verification.objects.get().__dict__)


def test_unconfirmed_device_never_verifies(person, enter):
    device = AuthenticatorFactory(user=person, confirmed=False)
    assert enter(code_for(device)).outcome == Outcome.NO_DEVICE


def test_unconfirmed_device_beside_a_confirmed_one_never_verifies(person, device, enter):
    other = AuthenticatorFactory(user=person, confirmed=False)
    with time_machine.travel(1_800_000_000, tick=False):
        assert enter(code_for(other)).outcome == Outcome.BAD


def test_code_of_another_users_device_never_counts(device, enter):
    other = AuthenticatorFactory()
    with time_machine.travel(1_800_000_000, tick=False):
        assert enter(code_for(other)).outcome == Outcome.BAD


def test_without_a_device_there_is_nothing_to_verify(enter):
    result = enter("123456")
    assert result.outcome == Outcome.NO_DEVICE
    assert not result.ok


def test_refusal_without_a_device_has_a_row_of_its_own(person, device, enter):
    """A wrong code of a moment ago in the same scope is not taken for it."""
    enter(wrong_for(device))
    Authenticator.objects.all().delete()
    result = enter("123456")
    assert result.outcome == Outcome.NO_DEVICE
    assert list(Verification.objects.order_by("pk").values_list("outcome", flat=True)) == [
        Outcome.BAD,
        Outcome.NO_DEVICE,
    ]


def test_each_lockout_has_its_own_row(device, enter):
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        for _ in range(2):
            for _ in range(5):
                enter(wrong_for(device))
            for _ in range(3):
                assert enter(code_for(device)).outcome == Outcome.THROTTLED
            clock.shift(16 * 60)
        blocked = Verification.objects.filter(outcome=Outcome.THROTTLED)
        assert blocked.count() == Event.objects.filter(event=EventName.MFA_THROTTLE).count() == 2


def test_lockout_of_a_day_is_one_row_however_many_attempts(person, device, enter):
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        Verification.objects.bulk_create(
            Verification(user=person, outcome="bad", scope="unknown", epoch=0, at=timezone.now())
            for _ in range(20)
        )
        for _ in range(5):
            assert enter(code_for(device)).outcome == Outcome.THROTTLED
            clock.shift(20 * 60)
        assert Verification.objects.filter(outcome=Outcome.THROTTLED).count() == 1


def test_attempts_without_a_device_write_one_row_in_fifteen_minutes(person, enter):
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        for _ in range(3):
            enter("123456")
            clock.shift(16 * 60)
    assert Verification.objects.filter(outcome=Outcome.NO_DEVICE).count() == 3


def test_blocked_attempts_do_not_end_a_session(person, device, enter):
    """Blocked ones say nothing of whoever sits there: an owner may wait through a hold."""
    scope = ThrottleScope(session_ref="s")
    for outcome in ("bad", "bad", "bad", "throttled", "no_device", "throttled"):
        Verification.objects.create(
            user=person, outcome=outcome, scope="trusted:1", session_ref="s", epoch=0
        )
    assert not enter(wrong_for(device), scope).must_end_session
    assert enter(wrong_for(device), scope).must_end_session


def test_repeated_attempts_without_a_device_write_one_row(person, enter):
    for _ in range(50):
        enter("123456")
    assert Verification.objects.count() == 1
    assert Event.objects.filter(event=EventName.MFA_REFUSE).count() == 1


def test_attempt_does_not_undo_a_reset(person, device, enter):
    """django-otp saves whole rows: on a stale one, a wrong code would bring the device back."""
    Authenticator.objects.all().delete()
    assert enter("123456").outcome == Outcome.NO_DEVICE
    assert TOTPDevice.objects.count() == 0


def test_base_class_does_not_verify_codes_made_from_ciphertext(device):
    raw = TOTPDevice.objects.get(pk=device.pk)
    ciphertext = raw.key.encode()
    code = pyotp.TOTP(base64.b32encode(ciphertext).decode()).now()
    with pytest.raises(ValueError, match=r"(?i)hexadecimal|odd-length"):
        raw.verify_token(code)


def test_django_otps_own_throttle_locks_nobody_out(person, device, enter):
    device.throttling_failure_count, device.throttling_failure_timestamp = 30, None
    device.save()
    assert enter(code_for(device)).ok


def test_right_code_in_the_last_second_of_a_year_counts(person, device, enter):
    with time_machine.travel("2026-12-31T23:59:59Z", tick=False):
        assert enter(code_for(device)).ok


def test_each_user_has_their_own_ledger(device, enter):
    for _ in range(5):
        enter(wrong_for(device))
    other = AuthenticatorFactory(user=UserFactory())
    assert enter(code_for(other), user=other.user).ok
