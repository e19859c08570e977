"""Recovery codes: ten, each good once, on a budget of their own."""

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from audit.outbox.deliveries import deliver_due
from mfa.enrolment.recovery_codes import (
    make_recovery_codes,
    recovery_codes_left,
    replace_recovery_codes,
    verify_recovery_code,
)
from mfa.exceptions import RecoveryCodesOff, WindowClosed
from mfa.models import Outcome, RecoveryCode
from mfa.verification.codes import new_recovery_code
from mfa.verification.evidence import require_evidence
from mfa.verification.throttle_scope import ThrottleScope
from tests.factories import AuthenticatorFactory, UserFactory, code_for
from tests.mfa.conftest import HERE, wrong_for
from tests.mfa.test_evidence import window_of


@pytest.fixture
def codes(person, device) -> list[str]:
    return replace_recovery_codes(user_id=person.pk)


def use(user, code, scope=None):
    return verify_recovery_code(
        user=user, code=code, scope=scope or ThrottleScope(), client_info=HERE
    )


def test_a_recovery_code_is_evidence_and_says_so(person, device, codes):
    result = use(person, codes[3])
    assert result.ok
    assert result.verification.device_name == "Recovery code"
    assert result.verification.device_id == device.pk
    window = window_of(person, result.verification)
    assert require_evidence(user=person, window=window) == result.verification


def test_each_works_once(person, codes):
    assert use(person, codes[0]).ok
    assert use(person, codes[0]).outcome == Outcome.REPLAY
    assert use(person, codes[0].upper().replace("-", " ")).outcome == Outcome.REPLAY
    assert recovery_codes_left(user_id=person.pk) == 9


def test_a_made_up_code_is_refused(person, codes):
    assert use(person, new_recovery_code()).outcome == Outcome.BAD


def test_somebody_elses_code_is_refused(codes):
    other = AuthenticatorFactory(user=UserFactory()).user
    assert use(other, codes[0]).outcome == Outcome.BAD


def test_without_an_authenticator_it_is_worth_nothing(person, device, codes):
    device.delete()
    assert use(person, codes[0]).outcome == Outcome.NO_DEVICE
    assert recovery_codes_left(user_id=person.pk) == 10


def test_they_have_a_budget_of_their_own(person, device, codes, enter):
    for _ in range(5):
        enter(wrong_for(device))
    assert use(person, codes[0]).ok
    for _ in range(5):
        use(person, new_recovery_code())
    held = use(person, codes[1])
    assert held.outcome == Outcome.THROTTLED
    assert recovery_codes_left(user_id=person.pk) == 9


def test_the_owner_is_told_with_how_many_are_left(person, codes):
    use(person, codes[0])
    deliver_due(timezone.now())
    assert "recovery code was used" in mail.outbox[0].subject
    assert "9 are left" in " ".join(mail.outbox[0].body.split())
    assert codes[0] not in mail.outbox[0].body


def test_the_owner_is_told_of_new_ones(person, device, enter):
    window = window_of(person, enter(code_for(device)).verification)
    codes = make_recovery_codes(user=person, window=window, client_info=HERE)
    deliver_due(timezone.now())
    told = [message for message in mail.outbox if "recovery codes" in message.subject.lower()]
    assert [message.to for message in told] == [[person.email]]
    assert not any(code in told[0].body for code in codes)


def test_the_setting_switches_them_off(person, codes, settings):
    settings.MFA_RECOVERY_CODES = False
    with pytest.raises(RecoveryCodesOff):
        use(person, codes[0])
    with pytest.raises(RecoveryCodesOff):
        make_recovery_codes(user=person, window=None, client_info=HERE)


def test_new_ones_need_the_open_window_and_void_the_old(person, device, codes, enter):
    with pytest.raises(WindowClosed):
        make_recovery_codes(user=person, window=None, client_info=HERE)
    assert recovery_codes_left(user_id=person.pk) == 10
    window = window_of(person, enter(code_for(device)).verification)
    fresh = make_recovery_codes(user=person, window=window, client_info=HERE)
    assert use(person, codes[0]).outcome == Outcome.BAD
    assert use(person, fresh[0]).ok
    assert RecoveryCode.objects.count() == 10


def test_five_wrong_ones_end_the_session(person, codes):
    scope = ThrottleScope(session_ref="s")
    assert [use(person, new_recovery_code(), scope).session_must_end for _ in range(5)][-1]


def test_a_code_opens_an_hour_and_no_more(person, codes):
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        window = window_of(person, use(person, codes[0]).verification)
        clock.shift(3600)
        with pytest.raises(WindowClosed):
            require_evidence(user=person, window=window)
