"""Lockouts by scope: a stranger runs out of attempts, the owner's trusted browser never does."""

from datetime import timedelta

from django.test import RequestFactory
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from mfa.models import Outcome, TrustedBrowser, Verification
from mfa.verification.throttle_scope import ThrottleScope, scope_label, session_ref_of
from tests.factories import code_for
from tests.mfa.conftest import wrong_for


def test_five_wrong_codes_lock_a_scope_out_for_fifteen_minutes(clock, device, enter):
    for _ in range(4):
        assert enter(wrong_for(device)).locked_until is None
    fifth = enter(wrong_for(device))
    assert fifth.outcome == Outcome.BAD
    assert fifth.locked_until == timezone.now() + timedelta(minutes=15)
    refused = enter(code_for(device))
    assert refused.outcome == Outcome.THROTTLED
    assert refused.locked_until == fifth.locked_until


def test_lockout_ends_by_itself(clock, device, enter):
    for _ in range(5):
        enter(wrong_for(device))
    clock.shift(15 * 60 - 1)
    assert enter(code_for(device)).outcome == Outcome.THROTTLED
    clock.shift(1)
    assert enter(code_for(device)).ok


def test_attempts_during_a_lockout_do_not_prolong_it(clock, device, enter):
    for _ in range(5):
        enter(wrong_for(device))
    for _ in range(14):
        clock.shift(60)
        assert enter(wrong_for(device)).outcome == Outcome.THROTTLED
    clock.shift(60)
    assert enter(code_for(device)).ok


def test_flood_during_a_lockout_writes_one_row(clock, device, enter):
    for _ in range(5):
        enter(wrong_for(device))
    for _ in range(200):
        clock.shift(1)
        enter(wrong_for(device))
    assert Verification.objects.filter(outcome=Outcome.THROTTLED).count() == 1
    assert Event.objects.filter(event=EventName.MFA_THROTTLE).count() == 1


def test_next_lockout_has_its_own_row(clock, device, enter):
    for _ in range(2):
        for _ in range(6):
            enter(wrong_for(device))
        clock.shift(15 * 60)
    assert Verification.objects.filter(outcome=Outcome.THROTTLED).count() == 2


def test_owner_success_gives_a_stranger_no_new_attempts(clock, trusted, device, enter):
    for _ in range(4):
        enter(wrong_for(device))
    assert enter(code_for(device), trusted).ok
    enter(wrong_for(device))
    assert enter(wrong_for(device)).outcome == Outcome.THROTTLED


def test_twenty_failures_a_day_lock_out(clock, device, enter):
    for _ in range(4):
        for _ in range(5):
            assert enter(wrong_for(device)).outcome == Outcome.BAD
        clock.shift(15 * 60)
    assert enter(code_for(device)).outcome == Outcome.THROTTLED
    clock.shift(24 * 3600 - 4 * 15 * 60)
    assert enter(code_for(device)).ok


def test_stranger_cannot_lock_out_a_trusted_browser(clock, trusted, device, enter):
    for _ in range(50):
        enter(wrong_for(device))
    assert enter(code_for(device), trusted).ok


def test_trusted_browser_has_the_same_budget(clock, trusted, device, enter):
    for _ in range(5):
        enter(wrong_for(device), trusted)
    assert enter(code_for(device), trusted).outcome == Outcome.THROTTLED
    assert enter(code_for(device)).ok


def test_browser_forgotten_between_page_and_lock_is_charged_to_unknown(
    clock, trusted, device, enter
):
    TrustedBrowser.objects.all().delete()
    assert enter(wrong_for(device), trusted).verification.scope == "unknown"


def test_five_failures_in_a_row_end_the_session(clock, device, enter):
    scope = ThrottleScope(session_ref="s")
    assert [enter(wrong_for(device), scope).must_end_session for _ in range(5)] == [False] * 4 + [
        True
    ]
    assert Event.objects.filter(event=EventName.SESSION_END).count() == 1


def test_failures_of_other_sessions_do_not_end_this_one(clock, device, enter):
    for n in range(4):
        enter(wrong_for(device), ThrottleScope(session_ref=f"other-{n}"))
    assert not enter(wrong_for(device), ThrottleScope(session_ref="mine")).must_end_session


def test_success_resets_the_count_of_failures_in_a_row(clock, trusted, device, enter):
    scope = ThrottleScope(trusted.nonce_hash, "s")
    for _ in range(4):
        enter(wrong_for(device), scope)
    assert enter(code_for(device), scope).ok
    clock.shift(16 * 60)
    assert not enter(wrong_for(device), scope).must_end_session


def test_recovery_codes_have_a_scope_for_each_trusted_browser_and_one_for_all_others():
    browser = TrustedBrowser(pk=7)
    assert scope_label(browser, recovery=True) == "recovery:7"
    assert scope_label(None, recovery=True) == "recovery"
    assert (scope_label(browser), scope_label(None)) == ("trusted:7", "unknown")


def test_forgotten_browser_is_unknown_although_another_is_trusted(
    clock, person, device, trusted, enter
):
    TrustedBrowser.objects.create(user=person, nonce_hash="other", epoch=0)
    TrustedBrowser.objects.filter(nonce_hash=trusted.nonce_hash).delete()
    assert enter(wrong_for(device), trusted).verification.scope == "unknown"


def test_session_without_a_key_counts_no_failures_in_a_row(clock, device, enter):
    request = RequestFactory().get("/")
    request.session = type("Session", (), {"session_key": None})()
    assert session_ref_of(request) == ""
    request.session.session_key = "k"
    assert len(session_ref_of(request)) == 64
