"""Turning MFA on: the key, its confirmation, and attempts to do it for another user."""

from datetime import timedelta

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from audit.outbox.deliveries import deliver_due
from mfa.enrolment.services import begin_set_up, confirm_set_up, pending_set_up
from mfa.exceptions import MalformedCode, PasswordNotRecent, SetUpExpired, WindowClosed
from mfa.models import Authenticator, MfaState, Outcome, RecoveryCode, Verification
from mfa.verification.attempts import record_success
from mfa.verification.locking import advance_epoch
from mfa.verification.policies import is_evidence_valid
from tests.factories import AuthenticatorFactory, UserFactory, code_for
from tests.mfa.conftest import HERE, wrong_for


def begin(user, signed_in_ago=timedelta(0), device_id=None):
    device = begin_set_up(
        user=user,
        password_proven_at=timezone.now() - signed_in_ago,
        client_info=HERE,
        device_id=device_id,
    )
    device.secret = device.bin_key
    return device


def confirm(user, device, code=None, **changes):
    given = {"device_id": device.pk, "code": code or code_for(device)} | changes
    with transaction.atomic():
        result = confirm_set_up(user=user, client_info=HERE, **given)
        if result.success:
            record_success(result.success)
    return result


def test_begin_makes_an_encrypted_unconfirmed_key(clock, person):
    device = begin(person)
    row = Authenticator.objects.get()
    assert not row.confirmed
    assert row.key.startswith("siv1.")
    assert len(row.key) <= 80
    assert len(device.secret) == 20
    begun = Event.objects.get(event=EventName.MFA_BEGIN_SET_UP)
    assert (begun.actor_id, begun.address) == (person.pk, HERE.address)


def test_begin_again_replaces_the_key(clock, person):
    first, second = begin(person), begin(person)
    assert Authenticator.objects.get().pk == second.pk
    assert first.secret != second.secret


def test_begin_again_in_the_same_session_keeps_the_key(clock, person):
    first = begin(person)
    clock.shift(29 * 60)
    assert begin(person, device_id=first.pk).secret == first.secret
    clock.shift(60)
    assert begin(person, device_id=first.pk).secret != first.secret
    assert Authenticator.objects.count() == 1


def test_begin_never_hands_out_a_key_of_another_session_or_user(clock, person):
    other = begin(UserFactory())
    first = begin(person)
    for device_id in (None, 0, other.pk):
        assert begin(person, device_id=device_id).secret not in {first.secret, other.secret}


def test_begin_needs_a_recent_sign_in(clock, person):
    for started in (None, timedelta(minutes=15), timedelta(days=1), timedelta(seconds=-1)):
        with pytest.raises(PasswordNotRecent):
            begin_set_up(
                user=person,
                password_proven_at=None if started is None else timezone.now() - started,
                client_info=HERE,
            )
    assert begin(person, timedelta(minutes=14, seconds=59))


def test_begin_needs_an_open_window_once_enrolled(clock, person, device):
    with pytest.raises(WindowClosed):
        begin(person)
    assert Authenticator.objects.get() == device


def test_confirm_turns_mfa_on(clock, person):
    device = begin(person)
    result = confirm(person, device, name="Aegis on Pixel 8")
    assert result.ok
    row = Authenticator.objects.get()
    assert (row.confirmed, row.name) == (True, "Aegis on Pixel 8")
    assert Event.objects.filter(event=EventName.MFA_SET_UP, actor_id=person.pk).count() == 1


def test_confirm_raises_the_epoch(clock, person):
    before = MfaState.objects.get_or_create(user=person)[0].epoch
    confirm(person, begin(person))
    assert MfaState.objects.get(user=person).epoch == before + 1


def test_confirming_code_is_spent(clock, person, enter):
    device = begin(person)
    code = code_for(device)
    assert confirm(person, device, code).ok
    assert enter(code).outcome == Outcome.REPLAY


def test_confirming_is_a_verification_like_any_other(clock, person):
    device = begin(person)
    result = confirm(person, device)
    [success] = Verification.objects.passed()
    assert success == result.success.verification
    assert success.is_authentic
    assert (success.device_id, success.scope, success.address) == (
        device.pk,
        Verification.SET_UP_SCOPE,
        HERE.address,
    )
    state = MfaState.objects.get(user=person)
    assert is_evidence_valid(verification=success, state=state)
    verified = Event.objects.get(event=EventName.MFA_VERIFY)
    assert verified.metadata["verification"] == success.pk


def test_a_refused_confirmation_is_no_evidence(clock, person):
    device = begin(person)
    confirm(person, device, wrong_for(device))
    assert not Verification.objects.passed().exists()
    assert not Event.objects.filter(event=EventName.MFA_VERIFY).exists()


def test_browser_of_set_up_is_trusted_from_the_start(clock, person):
    assert confirm(person, begin(person)).success.browser_cookie


def test_wrong_code_leaves_it_off(clock, person):
    device = begin(person)
    assert confirm(person, device, wrong_for(device)).outcome == Outcome.BAD
    assert not Authenticator.objects.get().confirmed
    assert confirm(person, device).ok


def test_wrong_codes_are_limited(clock, person):
    device = begin(person)
    for _ in range(5):
        confirm(person, device, wrong_for(device))
    held = confirm(person, device)
    assert held.outcome == Outcome.THROTTLED
    assert held.locked_until
    assert not Authenticator.objects.get().confirmed


def test_beginning_anew_does_not_reset_the_limit(clock, person):
    for _ in range(5):
        device = begin(person)
        confirm(person, device, wrong_for(device))
    assert confirm(person, begin(person)).outcome == Outcome.THROTTLED


@pytest.mark.parametrize("code", ["", " ", "abcdef", "1234567"])
def test_empty_or_malformed_code_never_turns_it_on(clock, person, code):
    device = begin(person)
    with pytest.raises(MalformedCode):
        confirm_set_up(user=person, device_id=device.pk, code=code, client_info=HERE)
    assert not Authenticator.objects.get().confirmed


def test_enrolled_person_cannot_confirm_another_key(clock, person, device):
    """Whoever steals a session cannot add an authenticator of their own beside the owner's."""
    planted = AuthenticatorFactory(user=person, confirmed=False)
    with pytest.raises(WindowClosed):
        confirm(person, planted)
    assert not Authenticator.objects.get(pk=planted.pk).confirmed


def test_another_users_key_cannot_be_confirmed(clock, person):
    device = begin(UserFactory())
    with pytest.raises(SetUpExpired):
        confirm(person, device)
    assert not Authenticator.objects.get().confirmed


@pytest.mark.parametrize("device_id", [None, 0, -1, 10**9])
def test_key_that_this_session_did_not_begin_is_neither_shown_nor_confirmed(
    clock, person, device_id
):
    device = begin(person)
    with pytest.raises(SetUpExpired):
        pending_set_up(user=person, device_id=device_id)
    with pytest.raises(SetUpExpired):
        confirm(person, device, device_id=device_id)


def test_replaced_key_is_gone(clock, person):
    first = begin(person)
    begin(person)
    with pytest.raises(SetUpExpired):
        confirm(person, first)


def test_old_key_is_gone(clock, person):
    device = begin(person)
    clock.shift(30 * 60)
    with pytest.raises(SetUpExpired):
        confirm(person, device)


def test_change_of_password_ends_a_set_up(clock, person):
    device = begin(person)
    advance_epoch(user=person)
    with pytest.raises(SetUpExpired):
        confirm(person, device)


def test_ten_recovery_codes_come_with_it_and_only_hashes_stay(clock, person):
    codes = confirm(person, begin(person)).recovery_codes
    hashes = set(RecoveryCode.objects.values_list("code_hash", flat=True))
    assert len(set(codes)) == len(hashes) == 10
    assert not hashes.intersection(codes)


def test_setting_switches_recovery_codes_off(clock, person, settings):
    settings.MFA_RECOVERY_CODES = False
    assert confirm(person, begin(person)).recovery_codes == []
    assert not RecoveryCode.objects.exists()


def test_user_gets_an_email(clock, person):
    device = begin(person)
    confirm(person, device)
    deliver_due(timezone.now())
    message = mail.outbox[0]
    assert message.to == [person.email]
    assert "MFA was turned on" in message.subject
    assert HERE.address in message.body


def test_name_left_empty_gets_a_plain_one(clock, person):
    confirm(person, begin(person), name="   ")
    assert Authenticator.objects.get().name == "Authenticator app"


def test_record_holds_no_key(clock, person):
    device = begin(person)
    confirm(person, device)
    written = str(list(Event.objects.values()))
    assert device.key not in written
    assert device.secret.hex() not in written
