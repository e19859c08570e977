"""What stands on a flow now: how much waits, opens, is open and is ending through it."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, Q

from accessflows.flows.fingerprint import terms_of
from accessflows.models import AccessFlow
from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window
from requests_app.exceptions import RequestRefused
from requests_app.models import PENDING, AccessRequest, Status
from requests_app.policies import clean_reason, current_fingerprint

SHOWN = 10


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


@dataclass(frozen=True)
class Voided:
    """The first of the requests that a change of the flow would void, and how many there are."""

    first: tuple[AccessRequest, ...]
    count: int

    @property
    def more(self) -> int:
        return self.count - len(self.first)


def voided_by(flow: AccessFlow, fingerprint: str) -> Voided:
    """Return what waits under the flow as it is, and goes no further under another fingerprint."""
    now = current_fingerprint(flow)
    if now == fingerprint:
        return Voided((), 0)
    waiting = AccessRequest.objects.filter(
        Q(status__in=PENDING) | Q(status=Status.GRANTING, grants=None),
        flow=flow,
        flow_fingerprint=now,
    ).order_by("pk")
    return Voided(tuple(waiting[:SHOWN]), waiting.count())


def delete_flow(
    *, actor: Any, window: Window | None, flow: AccessFlow, reason: str, client_info: ClientInfo
) -> FlowUse:
    """Delete a flow, and return what stood on it.

    From here on nobody can ask through it, nothing that waits goes on, and the worker ends what is
    open (`ending.revoke_ineligible`): a grant needs nothing of its flow to end. Requests keep their
    snapshot and the flow its versions, so history reads on.
    """
    reason = clean_reason(reason, required=True)
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        found = AccessFlow.objects.select_for_update().filter(pk=flow.pk).first()
        if found is None:
            raise RequestRefused("This access flow was deleted meanwhile.")
        use = use_of(found)
        record(
            event=EventName.FLOW_DELETE,
            actor=actor,
            target=found,
            client_info=client_info,
            metadata={
                "reason": reason,
                "version": found.version,
                "terms": terms_of(found),
                "requests": {name: getattr(use, name) for name in ("waiting", "opening", "open")},
            },
        )
        found.delete()
    return use
