"""What stands on a flow now: how much waits, opens, is open and is ending through it."""

from typing import NamedTuple

from django.db.models import Count, Q

from accessflows.models import AccessFlow
from requests_app.models import PENDING, AccessRequest, Status


class FlowUse(NamedTuple):
    """Numbers of requests through a flow, and of the people whose access is open."""

    waiting: int
    opening: int
    open: int
    ending: int
    people: int

    @property
    def live(self) -> int:
        """Requests whose access is open, or is being opened."""
        return self.opening + self.open


def use_of(flow: AccessFlow) -> FlowUse:
    """Count in one query."""
    found = AccessRequest.objects.filter(flow=flow).aggregate(
        waiting=Count("pk", filter=Q(status__in=PENDING)),
        opening=Count("pk", filter=Q(status=Status.GRANTING)),
        open=Count("pk", filter=Q(status=Status.ACTIVE)),
        ending=Count("pk", filter=Q(status=Status.ENDING)),
        people=Count(
            "requester",
            filter=Q(status__in=[Status.GRANTING, Status.ACTIVE]),
            distinct=True,
        ),
    )
    return FlowUse(**found)
