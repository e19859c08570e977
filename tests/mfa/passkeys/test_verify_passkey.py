"""Verifying with a passkey: what the software authenticator proves, and what it does not."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import connections

from audit.events import EventName
from audit.models import Event
from bench.software_passkey import SoftPasskey, encode
from mfa.exceptions import MalformedPasskey, NotEnrolled, PasskeysUnavailable, TooManyChallenges
from mfa.models import Method, Outcome, Passkey, PasskeyChallenge, Verification
from mfa.passkeys.challenges import issue_challenge
from mfa.passkeys.verification import begin_verification
from tests.factories import PasskeyFactory, UserFactory
from tests.mfa.conftest import enter_passkey, sign_in_with_passkey, soft_passkey

WAYS = 8


@pytest.fixture
def passkey(clock, person) -> SoftPasskey:
    return soft_passkey(person)


def refused(result) -> bool:
    return result.outcome == Outcome.REFUSED and not result.ok


def test_success_is_evidence_with_its_method(person, passkey):
    result = sign_in_with_passkey(person, passkey)
    row = Verification.objects.get()
    assert (row.outcome, row.method, row.device_name) == ("ok", Method.PASSKEY, "Security key")
    assert row == result.verification
    assert row.is_authentic
    assert Passkey.objects.get().sign_count == 1
    assert Event.objects.get(event=EventName.MFA_VERIFY).metadata["method"] == "passkey"


def test_same_answer_counts_once(person, passkey):
    answer = passkey.sign(begin_verification(user=person, session_ref="s"))
    assert enter_passkey(person, answer, "s").ok
    assert refused(enter_passkey(person, answer, "s"))


def test_refusal_uses_the_challenge_up(person, passkey):
    options = begin_verification(user=person, session_ref="s")
    assert refused(enter_passkey(person, passkey.sign(options, user_verified=False), "s"))
    assert refused(enter_passkey(person, passkey.sign(options), "s"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_verified": False},
        {"origin": "https://access.example.net"},
        {"origin": "http://localhost:8000"},
        {"rp_id": "example.net"},
        {"cross_origin": True},
    ],
)
def test_answer_for_something_else_is_refused(person, passkey, wrong):
    assert refused(sign_in_with_passkey(person, passkey, **wrong))
    assert not Verification.objects.passed().exists()


def test_challenge_expires_after_five_minutes(person, passkey, clock):
    options = begin_verification(user=person, session_ref="s")
    clock.shift(299)
    later = begin_verification(user=person, session_ref="s")
    clock.shift(1)
    assert refused(enter_passkey(person, passkey.sign(options), "s"))
    assert enter_passkey(person, passkey.sign(later), "s").ok


def test_challenge_is_the_session_s_own(person, passkey):
    answer = passkey.sign(begin_verification(user=person, session_ref="one"))
    assert refused(enter_passkey(person, answer, "other"))
    assert enter_passkey(person, answer, "one").ok


def test_challenge_of_another_purpose_is_refused(person, passkey):
    row = issue_challenge(
        user_id=person.pk, session_ref="s", purpose=PasskeyChallenge.Purpose.REGISTER
    )
    options = json.dumps({"challenge": row.challenge, "rpId": "localhost"})
    assert refused(enter_passkey(person, passkey.sign(options), "s"))


def test_another_users_passkey_and_challenge_are_refused(person, passkey):
    other = UserFactory()
    theirs = soft_passkey(other)
    options = begin_verification(user=person, session_ref="s")
    assert refused(enter_passkey(person, theirs.sign(options), "s"))
    answer = passkey.sign(begin_verification(user=person, session_ref="s"))
    assert refused(enter_passkey(other, answer, "s"))


def test_another_user_handle_is_refused(person, passkey):
    passkey.user_handle = "b3RoZXI"
    assert refused(sign_in_with_passkey(person, passkey))


def test_count_that_goes_down_is_refused_and_raises_an_alarm(person, passkey):
    for _ in range(3):
        assert sign_in_with_passkey(person, passkey).ok
    passkey.count = 1
    assert refused(sign_in_with_passkey(person, passkey))
    alarm = Event.objects.get(event=EventName.MFA_SUSPECT_PASSKEY)
    assert (alarm.metadata["stored_count"], alarm.metadata["count"]) == (3, 2)
    assert Passkey.objects.get().sign_count == 3


def test_synced_passkey_counts_nothing_and_works_again_and_again(person, clock):
    synced = soft_passkey(person, synced=True)
    assert sign_in_with_passkey(person, synced).ok
    assert sign_in_with_passkey(person, synced).ok


def test_device_bound_passkey_that_turns_synced_is_refused(person, passkey):
    passkey.synced = True
    assert refused(sign_in_with_passkey(person, passkey))


@pytest.mark.parametrize(
    "change",
    [
        {"public_key": "AAAA"},
        {"sign_count": 0},
        {"user_handle": "other"},
        {"created_at": "2020-01-01T00:00Z"},
        {"is_device_bound": False},
    ],
)
def test_row_changed_in_the_database_is_no_passkey(person, passkey, change):
    assert sign_in_with_passkey(person, passkey).ok
    Passkey.objects.update(**change)
    assert refused(sign_in_with_passkey(person, passkey))


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", '{"id": 1}', "[" * 5000, "x" * 200_000],
)
def test_what_cannot_be_read_is_no_attempt(person, passkey, text):
    with pytest.raises(MalformedPasskey):
        enter_passkey(person, text)
    assert not Verification.objects.exists()


@pytest.mark.parametrize("name", ["authenticatorData", "signature", "clientDataJSON"])
@pytest.mark.parametrize("value", [b"", b"\xff" * 37, b'{"type": 1, "challenge": 2}'])
def test_damaged_answer_is_never_a_success(person, passkey, name, value):
    answer = json.loads(passkey.sign(begin_verification(user=person, session_ref="session")))
    answer["response"][name] = encode(value)
    with suppress(MalformedPasskey):
        assert refused(enter_passkey(person, json.dumps(answer)))
    assert not Verification.objects.passed().exists()


def test_refusals_lock_nobody_out_and_write_few_rows(person, passkey):
    for _ in range(35):
        enter_passkey(person, passkey.sign('{"challenge": "eHg", "rpId": "localhost"}'))
    assert Verification.objects.count() == 30
    assert sign_in_with_passkey(person, passkey).ok


def test_session_gets_thirty_challenges_in_fifteen_minutes(person, passkey, clock):
    for _ in range(30):
        begin_verification(user=person, session_ref="s")
    with pytest.raises(TooManyChallenges):
        begin_verification(user=person, session_ref="s")
    begin_verification(user=person, session_ref="other")
    clock.shift(900)
    begin_verification(user=person, session_ref="s")


def test_user_without_a_passkey_gets_no_challenge(person, device):
    with pytest.raises(NotEnrolled, match="Verify with a code, then add one"):
        begin_verification(user=person, session_ref="s")


def test_user_whose_passkeys_are_of_another_address_needs_a_reset(person):
    with pytest.raises(NotEnrolled, match="MFA is not set up"):
        begin_verification(user=person, session_ref="s")
    PasskeyFactory(user=person, rp_id="former.example")
    with pytest.raises(NotEnrolled, match="Ask an account admin to reset your MFA"):
        begin_verification(user=person, session_ref="s")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "https://[::1]", "https://10.0.0.1", "http://portal.example"]
)
def test_no_passkeys_at_an_address_that_browsers_refuse(person, passkey, settings, url):
    settings.PORTAL_URL = url
    with pytest.raises(PasskeysUnavailable):
        begin_verification(user=person, session_ref="s")


@pytest.mark.django_db(transaction=True)
def test_answer_sent_eight_ways_at_once_counts_once():
    person = UserFactory()
    passkey = soft_passkey(person)
    answer = passkey.sign(begin_verification(user=person, session_ref="s"))

    def work(_: int) -> bool:
        try:
            return enter_passkey(person, answer, "s").ok
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WAYS) as pool:
        results = list(pool.map(work, range(WAYS)))
    assert sum(results) == 1
    assert Verification.objects.passed().count() == 1
