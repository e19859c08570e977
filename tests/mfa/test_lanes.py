"""Holds by scope: a stranger runs out of attempts, the owner's known browser never does."""

from datetime import timedelta

import pytest
import time_machine
from django.test import RequestFactory
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.models import Event
from mfa.models import MfaState, Outcome, TrustedBrowser, Verification
from mfa.verification.locking import advance_epoch
from mfa.verification.throttle_scope import (
    ThrottleScope,
    cookie_name,
    session_ref_of,
    signed_cookie,
    still_trusted,
    throttle_scope_of,
)
from mfa.verification.trusted_browsers import MOST_KNOWN_BROWSERS
from tests.factories import AuthenticatorFactory, UserFactory, code_for
from tests.mfa.conftest import wrong_for

START = 1_800_000_000


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as travel:
        yield travel


@pytest.fixture
def known(clock, person, device, enter) -> ThrottleScope:
    """The scope of a browser in which Petra has passed, half a minute later."""
    assert enter(code_for(device)).device_cookie
    clock.shift(30)
    browser = TrustedBrowser.objects.get(user=person)
    return ThrottleScope(browser.scope, browser.pk)


def request_with(user, cookie: str):
    request = RequestFactory().get("/")
    request.user = type(user).objects.select_related("mfa_state").get(pk=user.pk)
    request.session = type("Session", (), {"session_key": "k"})()
    request.COOKIES[cookie_name(user.pk)] = cookie
    return request


def test_five_wrong_codes_hold_a_lane_off_for_a_quarter_of_an_hour(clock, device, enter):
    for _ in range(4):
        assert enter(wrong_for(device)).locked_until is None
    fifth = enter(wrong_for(device))
    assert fifth.outcome == Outcome.BAD
    assert fifth.locked_until == timezone.now() + timedelta(minutes=15)
    held = enter(code_for(device))
    assert held.outcome == Outcome.THROTTLED
    assert held.locked_until == fifth.locked_until


def test_a_hold_ends_by_itself(clock, device, enter):
    for _ in range(5):
        enter(wrong_for(device))
    clock.shift(15 * 60 - 1)
    assert enter(code_for(device)).outcome == Outcome.THROTTLED
    clock.shift(1)
    assert enter(code_for(device)).ok


def test_tries_during_a_hold_do_not_prolong_it(clock, device, enter):
    for _ in range(5):
        enter(wrong_for(device))
    for _ in range(14):
        clock.shift(60)
        assert enter(wrong_for(device)).outcome == Outcome.THROTTLED
    clock.shift(60)
    assert enter(code_for(device)).ok


def test_a_flood_during_a_hold_writes_one_row(clock, device, enter):
    for _ in range(5):
        enter(wrong_for(device))
    for _ in range(200):
        clock.shift(1)
        enter(wrong_for(device))
    assert Verification.objects.filter(outcome=Outcome.THROTTLED).count() == 1
    assert Event.objects.filter(event=EventName.MFA_THROTTLE).count() == 1


def test_the_next_hold_has_a_row_of_its_own(clock, device, enter):
    for _ in range(2):
        for _ in range(6):
            enter(wrong_for(device))
        clock.shift(15 * 60)
    assert Verification.objects.filter(outcome=Outcome.THROTTLED).count() == 2


def test_a_success_of_the_owner_gives_a_stranger_no_new_tries(clock, known, device, enter):
    for _ in range(4):
        enter(wrong_for(device))
    assert enter(code_for(device), known).ok
    enter(wrong_for(device))
    assert enter(wrong_for(device)).outcome == Outcome.THROTTLED


def test_twenty_a_day(clock, device, enter):
    for _ in range(4):
        for _ in range(5):
            assert enter(wrong_for(device)).outcome == Outcome.BAD
        clock.shift(15 * 60)
    assert enter(code_for(device)).outcome == Outcome.THROTTLED
    clock.shift(24 * 3600 - 4 * 15 * 60)
    assert enter(code_for(device)).ok


def test_the_known_browser_is_not_held_off_by_a_stranger(clock, known, device, enter):
    for _ in range(50):
        enter(wrong_for(device))
    assert enter(code_for(device), known).ok


def test_a_known_browser_has_the_same_budget(clock, known, device, enter):
    for _ in range(5):
        enter(wrong_for(device), known)
    assert enter(code_for(device), known).outcome == Outcome.THROTTLED
    assert enter(code_for(device)).ok


def test_the_cookie_leads_to_its_lane(clock, person, device, enter):
    cookie = enter(code_for(device)).device_cookie
    browser = TrustedBrowser.objects.get(user=person)
    assert throttle_scope_of(request_with(person, cookie)).label == browser.scope


def test_the_ledger_keeps_only_a_hash_of_the_cookie(clock, person, device, enter):
    cookie = enter(code_for(device)).device_cookie
    assert TrustedBrowser.objects.get(user=person).nonce_hash not in cookie


@pytest.mark.parametrize("forge", ["", "x", "a:b:c", "..", "é", "1:" * 2000])
def test_a_forged_cookie_is_unknown(clock, person, known, forge):
    assert throttle_scope_of(request_with(person, forge)).label == "unknown"


def test_a_tampered_cookie_is_unknown(clock, person, device, enter):
    cookie = enter(code_for(device)).device_cookie
    body, rest = cookie.split(":", 1)
    for tampered in (cookie[:-1], cookie + "A", f"{body[:-2]}AA:{rest}", f"{body}A:{rest}"):
        assert throttle_scope_of(request_with(person, tampered)).label == "unknown"


def test_a_well_signed_cookie_without_a_row_is_unknown(clock, person, known):
    assert (
        throttle_scope_of(request_with(person, signed_cookie(person.pk, "guess"))).label
        == "unknown"
    )


def test_somebody_elses_cookie_is_unknown(clock, person, device, enter):
    cookie = enter(code_for(device)).device_cookie
    stranger = UserFactory()
    assert throttle_scope_of(request_with(stranger, cookie)).label == "unknown"


def test_a_cookie_of_before_a_reset_is_unknown_even_if_its_row_survived(person, device, enter):
    cookie = enter(code_for(device)).device_cookie
    MfaState.objects.filter(user=person).update(epoch=7)
    assert throttle_scope_of(request_with(person, cookie)).label == "unknown"


def test_a_browser_forgotten_between_page_and_lock_is_charged_to_unknown(
    clock, known, device, enter
):
    TrustedBrowser.objects.all().delete()
    assert enter(wrong_for(device), known).verification.scope == "unknown"


def test_a_change_of_password_keeps_known_browsers_known(clock, person, device, enter):
    cookie = enter(code_for(device)).device_cookie
    advance_epoch(user=person)
    assert throttle_scope_of(request_with(person, cookie)).label.startswith("trusted:")


def test_a_known_browser_is_not_made_known_twice(clock, known, device, enter):
    result = enter(code_for(device), known)
    assert result.ok
    assert result.device_cookie == ""
    assert TrustedBrowser.objects.count() == 1


def test_the_eleventh_browser_stays_unknown(clock, known, device, enter):
    for _ in range(MOST_KNOWN_BROWSERS + 5):
        assert enter(code_for(device)).ok
        clock.shift(30)
    assert TrustedBrowser.objects.count() == MOST_KNOWN_BROWSERS == 10
    assert TrustedBrowser.objects.filter(pk=known.browser_id).exists()


def test_passing_in_one_browser_is_no_use_of_another(clock, person, known, device, enter):
    assert enter(code_for(device)).device_cookie
    clock.shift(30)
    other = TrustedBrowser.objects.exclude(pk=known.browser_id).get(user=person)
    assert enter(code_for(device), scope=known).ok
    assert TrustedBrowser.objects.get(pk=other.pk).last_used_at == other.last_used_at


def test_browsers_of_others_take_no_room(clock, person, device, enter):
    other = AuthenticatorFactory(user=UserFactory())
    for _ in range(MOST_KNOWN_BROWSERS):
        enter(code_for(other), user=other.user)
        clock.shift(30)
    assert enter(code_for(device)).device_cookie
    assert TrustedBrowser.objects.filter(user=other.user).count() == MOST_KNOWN_BROWSERS


def test_nobody_pushes_out_a_browser_its_owner_came_back_to(clock, known, device, enter):
    assert enter(code_for(device), known).ok
    for _ in range(3):
        clock.shift(2 * 86_400)
        for _ in range(MOST_KNOWN_BROWSERS + 2):
            clock.shift(30)
            assert enter(code_for(device)).ok
    assert TrustedBrowser.objects.filter(pk=known.browser_id).exists()


def test_a_browser_used_once_long_ago_makes_room(clock, known, device, enter):
    for _ in range(MOST_KNOWN_BROWSERS - 1):
        assert enter(code_for(device)).ok
        clock.shift(30)
    clock.shift(86_400)
    assert enter(code_for(device)).device_cookie
    assert not TrustedBrowser.objects.filter(pk=known.browser_id).exists()


def test_five_failures_in_a_row_end_the_session(clock, device, enter):
    scope = ThrottleScope(session_ref="s")
    assert [enter(wrong_for(device), scope).session_must_end for _ in range(5)] == [False] * 4 + [
        True
    ]
    assert Event.objects.filter(event=EventName.SESSION_END).count() == 1


def test_failures_of_other_sessions_do_not_end_this_one(clock, device, enter):
    for n in range(4):
        enter(wrong_for(device), ThrottleScope(session_ref=f"other-{n}"))
    assert not enter(wrong_for(device), ThrottleScope(session_ref="mine")).session_must_end


def test_a_success_begins_the_row_anew(clock, known, device, enter):
    scope = ThrottleScope(known.label, known.browser_id, "s")
    for _ in range(4):
        enter(wrong_for(device), scope)
    assert enter(code_for(device), scope).ok
    clock.shift(16 * 60)
    assert not enter(wrong_for(device), scope).session_must_end


def test_the_origin_of_a_known_browser_is_kept(clock, person, device, enter):
    enter(code_for(device))
    assert TrustedBrowser.objects.get(user=person).user_agent == "Firefox of the tests"
    assert ClientInfo().user_agent == ""


def test_recovery_codes_have_a_lane_for_each_known_browser_and_one_for_all_others():
    assert ThrottleScope("trusted:7", 7).for_recovery.label == "recovery:7"
    assert ThrottleScope().for_recovery.label == "recovery"


def test_a_forgotten_browser_is_unknown_although_another_is_known(clock, person, device, known):
    TrustedBrowser.objects.create(user=person, nonce_hash="other", epoch=0)
    TrustedBrowser.objects.filter(pk=known.browser_id).delete()
    assert still_trusted(known, MfaState.objects.get(user=person)) == ThrottleScope()


def test_a_session_without_a_key_counts_no_failures_in_a_row(clock, device, enter):
    request = RequestFactory().get("/")
    request.session = type("Session", (), {"session_key": None})()
    assert session_ref_of(request) == ""
    request.session.session_key = "k"
    assert len(session_ref_of(request)) == 64
