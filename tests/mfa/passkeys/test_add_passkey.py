"""Adding a passkey: who may, with which answer, and what follows."""

import json
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from audit.outbox.deliveries import deliver_due
from bench.software_passkey import SoftPasskey
from mfa.enrolment.services import begin_set_up
from mfa.exceptions import PasskeyRefused, PasswordNotRecent, TooManyMethods, WindowClosed
from mfa.models import MfaState, Passkey, PasskeyChallenge, RecoveryCode
from mfa.passkeys.registration import MAX_PASSKEYS, add_passkey, begin_registration
from mfa.passkeys.verification import begin_verification
from mfa.reset import reset_mfa_from_console
from mfa.verification.window import Window
from tests.factories import PasskeyFactory, UserFactory, code_for, window_of
from tests.mfa.conftest import HERE, sign_in_with_passkey, soft_passkey


@pytest.fixture
def window(clock, person, device, enter) -> Window:
    return window_of(enter(code_for(device)).verification)


def options_for(user, window=None, session_ref="s", password_age=timedelta(minutes=1)):
    return begin_registration(
        user=user,
        session_ref=session_ref,
        window=window,
        password_proven_at=timezone.now() - password_age,
    )


def add(user, response, window=None, session_ref="s", name="Key"):
    return add_passkey(
        user=user,
        session_ref=session_ref,
        response=response,
        name=name,
        window=window,
        password_proven_at=timezone.now(),
        client_info=HERE,
    )


def test_first_passkey_turns_mfa_on(clock, person):
    soft = SoftPasskey()
    added = add(person, soft.register(options_for(person)))
    assert added.is_first_method
    assert len(added.recovery_codes) == RecoveryCode.objects.count() == 10
    assert MfaState.objects.get().epoch == 1
    assert Event.objects.get(event=EventName.MFA_SET_UP).metadata["device_bound"]
    assert sign_in_with_passkey(person, soft).ok


def test_passkey_that_waited_while_mfa_was_reset_is_not_the_first_one(person, window):
    answer = SoftPasskey().register(options_for(person, window))
    reset_mfa_from_console(user=person, reason="Lost", operator="root")
    with pytest.raises(WindowClosed):
        add(person, answer, window)
    with pytest.raises(WindowClosed):
        options_for(person, window)
    with pytest.raises(WindowClosed):
        begin_set_up(
            user=person, password_proven_at=timezone.now(), client_info=HERE, window=window
        )


def test_further_passkey_leaves_the_others_alone(person, window):
    first, second = SoftPasskey(), SoftPasskey(synced=True)
    added = add(person, first.register(options_for(person, window)), window)
    assert (added.is_first_method, added.recovery_codes) == (False, [])
    add(person, second.register(options_for(person, window)), window)
    bound, synced = Passkey.objects.all()
    assert (bound.is_device_bound, synced.is_device_bound) == (True, False)
    assert bound.user_handle == synced.user_handle not in {str(person.pk), person.email, ""}
    assert MfaState.objects.get().epoch == 0
    assert sign_in_with_passkey(person, second).ok


def test_enrolled_user_needs_an_open_window_for_both_steps(person, window):
    with pytest.raises(WindowClosed):
        options_for(person)
    answer = SoftPasskey().register(options_for(person, window))
    with pytest.raises(WindowClosed):
        add(person, answer)


def test_user_without_a_method_needs_a_recent_password(clock, person):
    with pytest.raises(PasswordNotRecent):
        options_for(person, password_age=timedelta(minutes=16))


@pytest.mark.parametrize("wrong", [{"user_verified": False}, {"origin": "https://evil.example"}])
def test_answer_for_something_else_adds_nothing(person, window, wrong):
    options = options_for(person, window)
    with pytest.raises(PasskeyRefused):
        add(person, SoftPasskey().register(options, **wrong), window)
    with pytest.raises(PasskeyRefused):  # the challenge is used up
        add(person, SoftPasskey().register(options), window)
    assert not Passkey.objects.exists()


def test_challenge_is_for_one_session_and_for_adding(person, window):
    answer = SoftPasskey().register(options_for(person, window))
    with pytest.raises(PasskeyRefused):
        add(person, answer, window, session_ref="other")
    soft_passkey(person)
    row = json.loads(begin_verification(user=person, session_ref="s"))
    options = json.loads(options_for(person, window)) | {"challenge": row["challenge"]}
    with pytest.raises(PasskeyRefused):
        add(person, SoftPasskey().register(json.dumps(options)), window)


def test_passkey_that_somebody_has_already_is_refused(person, window):
    soft = SoftPasskey()
    add(person, soft.register(options_for(person, window)), window)
    other = UserFactory()
    with pytest.raises(PasskeyRefused):
        add(other, soft.register(options_for(other)))


def test_owner_gets_an_email(person, window):
    add(person, SoftPasskey().register(options_for(person, window)), window, name="YubiKey")
    assert Event.objects.get(event=EventName.MFA_ADD_METHOD).metadata["name"] == "YubiKey"
    deliver_due(timezone.now())
    [message] = mail.outbox
    assert message.to == [person.email]
    assert "YubiKey" in message.body


def test_ten_passkeys_are_enough(person, window):
    for _ in range(MAX_PASSKEYS):
        PasskeyFactory(user=person)
    with pytest.raises(TooManyMethods):
        options_for(person, window)
    assert not PasskeyChallenge.objects.exists()


def test_options_exclude_the_passkeys_there_are(person, window):
    row = PasskeyFactory(user=person)
    options = json.loads(options_for(person, window))
    assert [item["id"] for item in options["excludeCredentials"]] == [row.credential_id]
    assert options["authenticatorSelection"]["userVerification"] == "required"
