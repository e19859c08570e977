"""Known answers: RFC 6238 appendix B, RFC 4226 appendix D, and an independent authenticator."""

import base64
from datetime import UTC, datetime

import pyotp
import pytest
import time_machine

from mfa.models import Outcome
from tests.factories import AuthenticatorFactory, code_for

RFC_SECRET = b"12345678901234567890"
# RFC 6238, appendix B, SHA1: seconds since 1970 and the last six of the eight digits.
RFC_6238 = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize(("seconds", "code"), RFC_6238)
def test_codes_of_the_standard_are_accepted(person, enter, seconds, code):
    AuthenticatorFactory(user=person, secret=RFC_SECRET)
    with time_machine.travel(seconds, tick=False):
        assert enter(code).outcome == Outcome.OK


@pytest.mark.parametrize(("seconds", "code"), RFC_6238)
def test_codes_of_the_standard_are_refused_at_other_times(person, enter, seconds, code):
    AuthenticatorFactory(user=person, secret=RFC_SECRET)
    with time_machine.travel(seconds + 120, tick=False):
        assert enter(code).outcome == Outcome.BAD


def test_twenty_secrets_agree_with_an_independent_authenticator(person, enter):
    with time_machine.travel(datetime(2026, 5, 4, 10, tzinfo=UTC), tick=False) as clock:
        device = AuthenticatorFactory(user=person)
        for _ in range(20):
            clock.shift(90)
            assert enter(code_for(device)).ok


@pytest.mark.parametrize("offset", [-30, 0, 30])
def test_one_step_either_side_is_accepted(person, enter, offset):
    device = AuthenticatorFactory(user=person)
    with time_machine.travel(1_800_000_015, tick=False):
        assert enter(at(device, offset)).ok


@pytest.mark.parametrize("offset", [-90, -60, 60, 90])
def test_two_steps_away_is_refused(person, enter, offset):
    device = AuthenticatorFactory(user=person)
    with time_machine.travel(1_800_000_015, tick=False):
        assert enter(at(device, offset)).outcome == Outcome.BAD


def test_phone_that_is_ahead_does_not_pull_the_accepted_codes_along(person, enter):
    device = AuthenticatorFactory(user=person)
    with time_machine.travel(1_800_000_015, tick=False) as clock:
        for _ in range(4):
            assert enter(at(device, 30)).ok
            clock.shift(300)
        assert enter(at(device, 60)).outcome == Outcome.BAD
        device.refresh_from_db()
        assert device.drift == 0


def at(device, offset: int) -> str:
    secret = base64.b32encode(device.secret).decode()
    return pyotp.TOTP(secret).at(1_800_000_015 + offset + elapsed())


def elapsed() -> int:
    from django.utils import timezone

    return int(timezone.now().timestamp()) - 1_800_000_015


def test_secrets_are_twenty_random_bytes(person):
    from mfa.models import Authenticator

    keys = {
        Authenticator(user_id=person.pk, key=Authenticator.new_encrypted_key(person.pk)).bin_key
        for _ in range(50)
    }
    assert len(keys) == 50
    assert {len(key) for key in keys} == {20}
