"""Where access stands, in words a person understands.

    Opening -> Active -> Ending -> Contained -> Ended        Overdue: past its end and not contained

Contained means that nobody can use it any more, whatever is still to be cleaned; Ended, that nothing
is left of it and the target has said so.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import models
from django.db.models import QuerySet

from apono_portal.core.db.prepared import prepared
from apono_portal.core.formatting.durations import format_duration
from requests_app.models import AccessRequest, Grant, GrantState

# Twice the second a sweep takes, and a moment for the target: what is later than this is late.
OVERDUE_AFTER = timedelta(seconds=5)


class GrantStatus(models.TextChoices):
    OPENING = "activating", "Opening"
    ACTIVE = "active", "Active"
    ENDING = "ending", "Ending"
    CONTAINED = "contained", "Contained"
    ENDED = "ended", "Ended"
    OVERDUE = "overdue", "Overdue"


@dataclass(frozen=True)
class Stand:
    """A standing and, when it is overdue, for how long."""

    standing: GrantStatus
    overdue_for: timedelta | None = None

    @property
    def label(self) -> str:
        if self.overdue_for is None:
            return str(self.standing.label)
        return f"Overdue by {format_duration(self.overdue_for)}"


def grant_status(grant: Grant, now: datetime) -> Stand:
    """Say where a grant stands. Whatever its row says, past its end and not contained is overdue."""
    late = now - grant.deadline
    may_exist = grant.login_oid is not None or grant.state != GrantState.ACTIVATING
    if grant.is_overdue(now) and may_exist and late > OVERDUE_AFTER:
        return Stand(GrantStatus.OVERDUE, overdue_for=late)
    return Stand(GrantStatus(grant.state))


NAMED = 3


@dataclass(frozen=True)
class Overdue:
    """``requests`` are the first few, the most overdue first; ``more`` counts the other grants."""

    number: int
    longest: str
    requests: list[AccessRequest]
    more: int


def find_overdue(now: datetime) -> Overdue | None:
    grants = _late(now - OVERDUE_AFTER)
    if not grants:
        return None
    requests = list(dict.fromkeys(grant.request for grant in grants))
    return Overdue(
        number=len(grants),
        longest=_age(now - grants[0].deadline),
        requests=requests[:NAMED],
        more=len(requests) - len(requests[:NAMED]),
    )


@prepared(datetime)
def _late(moment: datetime) -> QuerySet[Grant]:
    late = Grant.objects.past_their_end(moment).select_related("request")
    return late.order_by("deadline")[:100]


def _age(late: timedelta) -> str:
    """To the minute from one on: it is read, not counted."""
    minute = timedelta(minutes=1)
    return format_duration(late // minute * minute if late >= minute else late)
