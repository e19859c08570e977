"""Rows that permit access: which still count, and whether the audit log knows them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from django.db.models import Q, QuerySet

from accessflows.models import ProposedChange
from apono_portal.core.crypto.authenticity import AuthenticatedRow
from apono_portal.core.db.keyset import iter_batches
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.integrity.records import latest_stub
from audit.models import Event
from audit.services import record
from mfa.models import Verification
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.models import (
    UNFINISHED,
    AccessRequest,
    Decision,
    Extension,
    Grant,
    GrantState,
)
from requests_app.policies import TAMPERING

if TYPE_CHECKING:
    from apono_portal.users.models import User

Row = TypeVar("Row", bound=AuthenticatedRow)
MAX_EVENT_DISTANCE = timedelta(hours=1)  # between a verification and its event


def rows_that_count() -> dict[str, QuerySet[AuthenticatedRow]]:
    """Return the rows whose MAC is or may be judged. Others may refer to what was deleted since."""
    return {
        "Verifications": Verification.objects.passed(),
        "Requests": AccessRequest.objects.filter(status__in=UNFINISHED).exclude(requester=None),
        "Decisions": Decision.objects.exclude(approver=None),
        "Extensions": Extension.objects.filter(state=Extension.State.REQUESTED),
        "Grants": Grant.objects.exclude(state=GrantState.REMOVED),
        "Pending changes": ProposedChange.objects.filter(state=ProposedChange.State.PENDING),
    }


def record_tampering(
    *,
    request: AccessRequest,
    reason: str,
    target: AuthenticatedRow | None = None,
    actor: "User | None" = None,
    client_info: ClientInfo = SYSTEM,
) -> None:
    """Record that a stored row was refused because the portal did not write it. Admins are notified."""
    record(
        event=EventName.AUDIT_DETECT_TAMPERING,
        actor=actor,
        target=target or request,
        request=request,
        client_info=client_info,
        metadata={"reason": reason},
    )


@contextmanager
def tampering_recorded(
    *,
    request: AccessRequest,
    target: AuthenticatedRow,
    actor: "User",
    client_info: ClientInfo,
) -> Iterator[None]:
    """Record tampering that a user's action was refused for, after its transaction was rolled back."""
    try:
        yield
    except (Conflict, RequestRefused) as refused:
        if refused.sentence in TAMPERING:
            record_tampering(
                request=request,
                reason=refused.sentence,
                target=target,
                actor=actor,
                client_info=client_info,
            )
        raise


def find_unrecorded_rows() -> Iterator[str]:
    """Yield a sentence for each verification, decision and grant that the portal did not write.

    Its MAC is not valid, or no event in the log says that it was made. Events that retention removed
    are not missed. A batch at a time is in memory.
    """
    for rows in rows_that_count().values():
        for batch in iter_batches(rows):
            for row in batch:
                if not row.is_authentic:
                    yield f"{_name(row)} is not what the portal wrote: its MAC is not valid."
    stub = latest_stub()
    is_newer = Q(at__gt=stub.last_at) if stub else Q()
    yield from _unrecorded(Verification.objects.passed().filter(is_newer), _recorded_verifications)
    decisions = Decision.objects.exclude(approver=None).filter(is_newer)
    yield from _unrecorded(decisions, _recorded_decisions)
    is_newer = Q(request__created_at__gt=stub.last_at) if stub else Q()
    yield from _unrecorded(Grant.objects.filter(is_newer), _recorded_grants)


def _unrecorded(
    rows: QuerySet[Row], recorded_among: Callable[[list[Row]], set[object]]
) -> Iterator[str]:
    for batch in iter_batches(rows):
        recorded = recorded_among(batch)
        for row in batch:
            if row.pk not in recorded:
                yield f"{_name(row)} is not in the audit log."


def _recorded_verifications(batch: list[Verification]) -> set[object]:
    """Return which have an event. It is written at the time of the verification, which is indexed."""
    times = [verification.at for verification in batch]
    events = Event.objects.filter(
        event=EventName.MFA_VERIFY,
        at__gte=min(times) - MAX_EVENT_DISTANCE,
        at__lte=max(times) + MAX_EVENT_DISTANCE,
        metadata__verification__in=[verification.pk for verification in batch],
    )
    return set(events.order_by().values_list("metadata__verification", flat=True))


def _recorded_decisions(batch: list[Decision]) -> set[object]:
    events = Event.objects.filter(
        event__in=[EventName.REQUEST_APPROVE, EventName.REQUEST_REJECT],
        request_id__in=[decision.request_id for decision in batch],
    )
    recorded = set(events.order_by().values_list("request_id", "actor_id"))
    return {
        decision.pk for decision in batch if (decision.request_id, decision.approver_id) in recorded
    }


def _recorded_grants(batch: list[Grant]) -> set[object]:
    events = Event.objects.filter(
        event=EventName.REQUEST_GRANT, request_id__in=[grant.request_id for grant in batch]
    )
    recorded = set(events.order_by().values_list("request_id", flat=True))
    return {grant.pk for grant in batch if grant.request_id in recorded}


def _name(row: AuthenticatedRow) -> str:
    return f"{row._meta.verbose_name} {row.pk}".capitalize()
