"""Recovery codes: ten, each good once, on a budget of their own."""

import re

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from audit.outbox.deliveries import deliver_due
from mfa.enrolment.recovery_codes import (
    CODE_COUNT,
    count_recovery_codes,
    hash_recovery_code,
    make_recovery_codes,
    new_recovery_code,
    parse_recovery_code,
    replace_recovery_codes,
)
from mfa.exceptions import MalformedCode, RecoveryCodesDisabled, WindowClosed
from mfa.models import Outcome, RecoveryCode
from mfa.verification.evidence import require_evidence
from mfa.verification.throttle_scope import ThrottleScope
from tests.factories import AuthenticatorFactory, UserFactory, code_for, window_of
from tests.mfa.conftest import HERE, enter_recovery_code, wrong_for


@pytest.fixture
def codes(person, device) -> list[str]:
    return replace_recovery_codes(user_id=person.pk)


def test_recovery_code_is_evidence_and_says_so(person, device, codes):
    result = enter_recovery_code(person, codes[3])
    assert result.ok
    assert result.verification.device_name == "Recovery code"
    assert result.verification.device_id == device.pk
    window = window_of(result.verification)
    assert require_evidence(user=person, window=window) == result.verification


def test_recovery_code_works_once(person, codes):
    assert enter_recovery_code(person, codes[0]).ok
    assert enter_recovery_code(person, codes[0]).outcome == Outcome.REPLAY
    assert enter_recovery_code(person, codes[0].upper().replace("-", " ")).outcome == Outcome.REPLAY
    assert count_recovery_codes(user_id=person.pk) == 9


def test_made_up_code_is_refused(person, codes):
    assert enter_recovery_code(person, new_recovery_code()).outcome == Outcome.BAD


def test_another_users_code_is_refused(codes):
    other = AuthenticatorFactory(user=UserFactory()).user
    assert enter_recovery_code(other, codes[0]).outcome == Outcome.BAD


def test_without_an_authenticator_it_is_worth_nothing(person, device, codes):
    device.delete()
    assert enter_recovery_code(person, codes[0]).outcome == Outcome.NO_DEVICE
    assert count_recovery_codes(user_id=person.pk) == 10


def test_they_have_a_budget_of_their_own(person, device, codes, enter):
    for _ in range(5):
        enter(wrong_for(device))
    assert enter_recovery_code(person, codes[0]).ok
    for _ in range(5):
        enter_recovery_code(person, new_recovery_code())
    held = enter_recovery_code(person, codes[1])
    assert held.outcome == Outcome.THROTTLED
    assert count_recovery_codes(user_id=person.pk) == 9


def test_owner_gets_an_email_with_how_many_are_left(person, codes):
    enter_recovery_code(person, codes[0])
    deliver_due(timezone.now())
    assert "recovery code was used" in mail.outbox[0].subject
    assert "Codes left: 9" in " ".join(mail.outbox[0].body.split())
    assert codes[0] not in mail.outbox[0].body


def test_email_asks_for_new_codes_when_few_are_left(person, codes):
    for code in codes[:7]:
        enter_recovery_code(person, code)
    deliver_due(timezone.now())
    used = [message for message in mail.outbox if "was used" in message.subject]
    few = ["Generate new ones" in " ".join(message.body.split()) for message in used]
    assert few == [False] * 6 + [True]
    assert "3 left" in used[-1].subject


def test_owner_gets_an_email_about_new_ones(person, device, enter):
    window = window_of(enter(code_for(device)).verification)
    codes = make_recovery_codes(user=person, window=window, client_info=HERE)
    deliver_due(timezone.now())
    messages = [message for message in mail.outbox if "recovery codes" in message.subject.lower()]
    assert [message.to for message in messages] == [[person.email]]
    assert not any(code in messages[0].body for code in codes)


def test_setting_switches_them_off(person, codes, settings):
    settings.MFA_RECOVERY_CODES = False
    with pytest.raises(RecoveryCodesDisabled):
        enter_recovery_code(person, codes[0])
    with pytest.raises(RecoveryCodesDisabled):
        make_recovery_codes(user=person, window=None, client_info=HERE)


def test_new_ones_need_the_open_window_and_void_the_old(person, device, codes, enter):
    with pytest.raises(WindowClosed):
        make_recovery_codes(user=person, window=None, client_info=HERE)
    assert count_recovery_codes(user_id=person.pk) == 10
    window = window_of(enter(code_for(device)).verification)
    fresh = make_recovery_codes(user=person, window=window, client_info=HERE)
    assert enter_recovery_code(person, codes[0]).outcome == Outcome.BAD
    assert enter_recovery_code(person, fresh[0]).ok
    assert RecoveryCode.objects.count() == 10


def test_five_wrong_ones_end_the_session(person, codes):
    scope = ThrottleScope(session_ref="s")
    assert [
        enter_recovery_code(person, new_recovery_code(), scope).must_end_session for _ in range(5)
    ][-1]


def test_code_opens_an_hour_and_no_more(person, codes):
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        window = window_of(enter_recovery_code(person, codes[0]).verification)
        clock.shift(3600)
        with pytest.raises(WindowClosed):
            require_evidence(user=person, window=window)


def test_recovery_codes_are_read_as_people_type_them():
    code = new_recovery_code()
    typed = f" {code.upper().replace('-', ' ')} "
    assert parse_recovery_code(typed) == code.replace("-", "")
    assert hash_recovery_code(1, typed) == hash_recovery_code(1, code)


def test_recovery_code_is_four_groups_of_five_and_there_are_ten():
    assert re.fullmatch(r"([a-z2-7]{5}-){3}[a-z2-7]{5}", new_recovery_code())
    assert CODE_COUNT == 10


def test_same_recovery_code_of_another_user_has_another_hash():
    code = new_recovery_code()
    assert hash_recovery_code(1, code) != hash_recovery_code(2, code)


@pytest.mark.parametrize("typed", ["", "abcde", "abcde-fghij-klmno-pqrs1", "é" * 20, "a" * 21])
def test_what_cannot_be_a_recovery_code_is_refused(typed):
    with pytest.raises(MalformedCode):
        parse_recovery_code(typed)
