"""Display status of a grant, and the grants that are overdue.

    Activating -> Active -> Revoking -> Contained -> Removed

Contained means that nobody can use it any more, Removed that the target has confirmed the removal.
Past its deadline and not contained, a grant is Overdue.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from apono_portal.core.formatting.durations import format_duration
from requests_app.models import AccessRequest, Grant, GrantState

OVERDUE_AFTER = timedelta(seconds=5)  # twice the worker's interval, and some time for the target
MAX_OVERDUE_GRANTS = 100
MAX_OVERDUE_REQUESTS = 3


@dataclass(frozen=True)
class GrantStatus:
    """``code`` is the state, or "overdue" with the time since the deadline in ``overdue_for``."""

    code: str
    overdue_for: timedelta | None = None

    @property
    def label(self) -> str:
        if self.overdue_for is None:
            return str(GrantState(self.code).label)
        return f"Overdue by {format_duration(self.overdue_for)}"


def grant_status(grant: Grant, now: datetime) -> GrantStatus:
    overdue_for = now - grant.deadline
    may_exist = grant.login_mark or grant.state != GrantState.ACTIVATING
    if grant.is_overdue(now) and may_exist and overdue_for > OVERDUE_AFTER:
        return GrantStatus("overdue", overdue_for)
    return GrantStatus(grant.state)


@dataclass(frozen=True)
class OverdueSummary:
    """Overdue grants: the longest delay, the most overdue requests, and the number of other ones."""

    number: int
    longest: str
    requests: list[AccessRequest]
    more: int


def overdue_summary(now: datetime) -> OverdueSummary | None:
    overdue = Grant.objects.overdue(now - OVERDUE_AFTER).select_related("request")
    grants = list(overdue.order_by("deadline")[:MAX_OVERDUE_GRANTS])
    if not grants:
        return None
    requests = list(dict.fromkeys(grant.request for grant in grants))
    return OverdueSummary(
        number=len(grants),
        longest=_whole_minutes(now - grants[0].deadline),
        requests=requests[:MAX_OVERDUE_REQUESTS],
        more=len(requests[MAX_OVERDUE_REQUESTS:]),
    )


def _whole_minutes(delay: timedelta) -> str:
    minute = timedelta(minutes=1)
    return format_duration(delay // minute * minute if delay >= minute else delay)
