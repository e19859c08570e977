"""Access past its end that could not be cut yet: whoever answers for the portal sees it on every page."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from accessflows.durations import spell
from audit.prepared import prepared
from requests_app.models import AccessRequest, Grant
from requests_app.standing import OVERDUE_AFTER

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
    return spell(late // minute * minute if late >= minute else late)
