"""How many wrong codes a scope allows, and until when it is held off after that.

Five in 15 minutes, 20 a day, 100 in 30 days. Three codes are accepted at any time (now and one step
either side), so a guesser who holds the password succeeds with at most 20 x 3/10^6 = 6e-5 a day and
100 x 3/10^6 = 3e-4 in 30 days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Limit:
    failures: int
    period: timedelta


SHORT = Limit(5, timedelta(minutes=15))
DAY = Limit(20, timedelta(days=1))
MONTH = Limit(100, timedelta(days=30))
LIMITS = (SHORT, DAY, MONTH)
SESSION_FAILURES = 5


def locked_until(
    failures: Sequence[datetime], now: datetime, *, month_since: datetime | None = None
) -> datetime | None:
    """Return the instant from which the scope takes codes again, None if it does now.

    ``failures`` are the scope's failures, newest first, at least the last 100. Only they count:
    attempts during a hold are not failures and cannot prolong it. ``month_since`` is when an admin
    lifted the 30-day limit; failures before it do not count towards that limit.
    """
    ends = [_end_of(limit, failures, month_since) for limit in LIMITS]
    latest = max((end for end in ends if end is not None), default=None)
    return latest if latest is not None and latest > now else None


def month_is_spent(
    failures: Sequence[datetime], now: datetime, *, month_since: datetime | None = None
) -> bool:
    end = _end_of(MONTH, failures, month_since)
    return end is not None and end > now


def _end_of(
    limit: Limit, failures: Sequence[datetime], month_since: datetime | None
) -> datetime | None:
    counted = [
        at for at in failures if limit is not MONTH or month_since is None or at > month_since
    ]
    if len(counted) < limit.failures:
        return None
    return counted[limit.failures - 1] + limit.period
