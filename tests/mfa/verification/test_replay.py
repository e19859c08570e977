"""A code is good once, in every disguise, session and order."""

import pytest

from mfa.models import Outcome, TrustedBrowser
from mfa.verification.throttle_scope import ThrottleScope
from tests.factories import code_for


@pytest.mark.parametrize("later_s", [0, 1, 29, 30, 31, 59])
def test_same_code_is_refused_later(clock, device, enter, later_s):
    code = code_for(device)
    assert enter(code).ok
    clock.shift(later_s)
    assert enter(code).outcome == Outcome.REPLAY


def test_code_is_refused_after_a_later_one(clock, device, enter):
    """A, B, then A again, while A is still within the step that is allowed for slow clocks."""
    first = code_for(device)
    clock.shift(30)
    second = code_for(device)
    assert enter(second).ok
    assert enter(first).outcome == Outcome.REPLAY
    assert enter(second).outcome == Outcome.REPLAY


@pytest.mark.parametrize(
    "disguise", ["{0}{1}{2} {3}{4}{5}", "{0}-{1}-{2}-{3}-{4}-{5}", " {0}{1}{2}{3}{4}{5} "]
)
def test_same_code_written_otherwise_is_refused(clock, device, enter, disguise):
    code = code_for(device)
    assert enter(code).ok
    assert enter(disguise.format(*code)).outcome == Outcome.REPLAY


def test_same_code_is_refused_in_another_session_and_scope(clock, person, device, enter):
    code = code_for(device)
    assert enter(code, ThrottleScope(session_ref="one")).ok
    known = TrustedBrowser.objects.get(user=person)
    for scope in (ThrottleScope(session_ref="two"), ThrottleScope(known.nonce_hash, "three")):
        assert enter(code, scope).outcome == Outcome.REPLAY


def test_next_code_is_accepted_again(clock, device, enter):
    assert enter(code_for(device)).ok
    clock.shift(30)
    assert enter(code_for(device)).ok


def test_replayed_code_counts_as_a_failure(clock, device, enter):
    code = code_for(device)
    assert enter(code).ok
    for _ in range(5):
        assert enter(code).outcome == Outcome.REPLAY
    assert enter(code).outcome == Outcome.THROTTLED
