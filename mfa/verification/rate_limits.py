"""How many wrong codes a scope allows, and how long it is locked out after that.

Five in 15 minutes, 20 a day, 100 in 30 days. Three codes are accepted at any time (now and one step
either side), so a guesser who holds the password succeeds with at most 20 x 3/10^6 = 6e-5 a day and
100 x 3/10^6 = 3e-4 in 30 days. A code is compared with every app of a user, of which there are at
most three, so two or three of them make it two or three times that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Limit:
    failures: int
    period: timedelta
    period_text: str


SHORT = Limit(5, timedelta(minutes=15), "15 minutes")
DAY = Limit(20, timedelta(days=1), "24 hours")
MONTH = Limit(100, timedelta(days=30), "30 days")
LIMITS = (SHORT, DAY, MONTH)
MAX_SESSION_FAILURES = 5


def locked_until(
    failures: Sequence[datetime], now: datetime, *, month_since: datetime | None = None
) -> datetime | None:
    """Return when the scope accepts codes again, None if it does now.

    ``failures`` are the scope's failures, newest first, at least the last 100. Only they count:
    blocked attempts are no failures and cannot prolong a lockout. ``month_since`` is when an admin
    lifted the 30-day limit; failures before it do not count towards that limit.
    """
    ends = [_end_of(limit, failures, month_since) for limit in LIMITS]
    latest = max((end for end in ends if end is not None), default=None)
    return latest if latest is not None and latest > now else None


def limit_reached(
    failures: Sequence[datetime], now: datetime, *, month_since: datetime | None = None
) -> Limit | None:
    """Return the limit that locks the scope out the longest, None if it accepts codes now."""
    until = locked_until(failures, now, month_since=month_since)
    ends = {_end_of(limit, failures, month_since): limit for limit in LIMITS}
    return ends[until] if until is not None else None


def is_month_limit_reached(
    failures: Sequence[datetime], now: datetime, *, month_since: datetime | None = None
) -> bool:
    end = _end_of(MONTH, failures, month_since)
    return end is not None and end > now


def _end_of(
    limit: Limit, failures: Sequence[datetime], month_since: datetime | None
) -> datetime | None:
    if limit is MONTH and month_since is not None:
        failures = [at for at in failures if at > month_since]
    if len(failures) < limit.failures:
        return None
    return failures[limit.failures - 1] + limit.period
