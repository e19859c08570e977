"""The rate limits: five in 15 minutes, 20 a day, 100 in 30 days."""

from datetime import UTC, datetime, timedelta

import pytest

from mfa.verification.rate_limits import (
    DAY,
    LIMITS,
    MAX_SESSION_FAILURES,
    MONTH,
    SHORT,
    is_month_limit_reached,
    limit_reached,
    locked_until,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def failures(count: int, every: timedelta, newest: datetime = NOW) -> list[datetime]:
    return [newest - every * n for n in range(count)]


def test_limits_are_those_the_promise_is_reckoned_with():
    assert (SHORT.failures, SHORT.period) == (5, timedelta(minutes=15))
    assert (DAY.failures, DAY.period) == (20, timedelta(hours=24))
    assert (MONTH.failures, MONTH.period) == (100, timedelta(hours=720))
    assert MAX_SESSION_FAILURES == 5


@pytest.mark.parametrize("limit", LIMITS)
def test_one_failure_below_a_limit_locks_nothing_out(limit):
    spread = limit.period / (limit.failures + 1)
    assert locked_until(failures(limit.failures - 1, spread), NOW) is None


@pytest.mark.parametrize("limit", LIMITS)
def test_limit_locks_out_until_its_oldest_failure_is_old(limit):
    spread = limit.period / (limit.failures + 1)
    times = failures(limit.failures, spread)
    assert locked_until(times, NOW) == times[-1] + limit.period


def test_lockout_ends_to_the_instant():
    times = failures(SHORT.failures, timedelta(0))
    end = NOW + SHORT.period
    assert locked_until(times, end - timedelta(microseconds=1)) == end
    assert locked_until(times, end) is None


def test_latest_lockout_counts():
    quick = failures(SHORT.failures, timedelta(seconds=1))
    older = failures(DAY.failures - SHORT.failures, timedelta(minutes=1), NOW - timedelta(hours=2))
    assert locked_until(quick + older, NOW) == older[-1] + DAY.period


def test_clock_that_goes_back_frees_no_budget():
    ahead = failures(SHORT.failures, timedelta(seconds=1), NOW + timedelta(hours=1))
    assert locked_until(ahead, NOW) == ahead[-1] + SHORT.period


def test_lifting_counts_the_thirty_days_anew_and_nothing_else():
    times = failures(MONTH.failures, timedelta(hours=6))
    assert is_month_limit_reached(times, NOW)
    assert not is_month_limit_reached(times, NOW, month_since=NOW)
    assert not is_month_limit_reached(times, NOW + MONTH.period)
    quick = failures(SHORT.failures, timedelta(seconds=1))
    assert locked_until(quick, NOW, month_since=NOW) is not None


def test_thirty_days_are_over_to_the_instant():
    times = failures(MONTH.failures, timedelta(0))
    assert is_month_limit_reached(times, NOW + MONTH.period - timedelta(microseconds=1))
    assert not is_month_limit_reached(times, NOW + MONTH.period)


def test_what_failed_at_the_instant_of_the_lifting_is_lifted_and_what_came_after_is_not():
    times = failures(MONTH.failures, timedelta(0))
    assert not is_month_limit_reached(times, NOW, month_since=NOW)
    assert is_month_limit_reached(times, NOW, month_since=NOW - timedelta(microseconds=1))


def most_guesses(days: int) -> int:
    """Tries that somebody gets who attempts again the moment a hold ends."""
    made: list[datetime] = []
    now, end = NOW, NOW + timedelta(days=days)
    while now < end:
        until = locked_until(made[::-1], now)
        if until is None:
            made.append(now)
        else:
            now = until
    return len(made)


def test_chance_of_a_guesser_is_what_the_page_of_promises_says():
    accepted_codes = 3  # this step and one either side
    assert most_guesses(1) * accepted_codes / 10**6 <= 6e-5
    assert most_guesses(30) * accepted_codes / 10**6 <= 3e-4


@pytest.mark.parametrize(
    ("count", "every", "limit"),
    [
        (4, timedelta(minutes=1), None),
        (5, timedelta(minutes=1), SHORT),
        (20, timedelta(minutes=30), DAY),
        (100, timedelta(hours=6), MONTH),
        (100, timedelta(seconds=1), MONTH),
    ],
)
def test_the_limit_that_locks_out_the_longest_is_named(count, every, limit):
    assert limit_reached(failures(count, every), NOW) == limit


def test_a_lifted_limit_is_not_named():
    lifted = NOW - timedelta(hours=1)
    assert limit_reached(failures(100, timedelta(hours=6)), NOW, month_since=lifted) is None
