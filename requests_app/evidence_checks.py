"""Rows that permit access: which still count, and whether the audit log knows them."""

from collections.abc import Iterator

from django.db.models import Q, QuerySet

from apono_portal.core.crypto.authenticity import AuthenticatedRow
from audit.events import EventName
from audit.integrity.records import latest_stub
from audit.models import Event
from mfa.models import Verification
from requests_app.models import (
    UNFINISHED,
    AccessRequest,
    Decision,
    Extension,
    Grant,
    GrantState,
)


def rows_that_count() -> dict[str, QuerySet[AuthenticatedRow]]:
    """Return the rows whose MAC is or may be judged. Others may refer to what was deleted since."""
    return {
        "Verifications": Verification.objects.passed(),
        "Requests": AccessRequest.objects.filter(status__in=UNFINISHED).exclude(requester=None),
        "Decisions": Decision.objects.exclude(approver=None),
        "Extensions": Extension.objects.filter(state=Extension.State.REQUESTED),
        "Grants": Grant.objects.exclude(state=GrantState.REMOVED),
    }


def find_unrecorded_rows() -> Iterator[str]:
    """Yield a sentence for each verification, decision and grant that the portal did not write.

    Its MAC is not valid, or no event in the log says that it was made. Events that retention removed
    are not missed.
    """
    for rows in rows_that_count().values():
        for row in rows.order_by("pk").iterator():
            if not row.is_authentic:
                yield f"{_name(row)} is not what the portal wrote: its MAC is not valid."
    stub = latest_stub()
    is_newer = Q(at__gt=stub.last_at) if stub else Q()
    recorded = _recorded([EventName.MFA_VERIFY], "metadata__verification")
    for verification in Verification.objects.passed().filter(is_newer).iterator():
        if (verification.pk,) not in recorded:
            yield f"{_name(verification)} is not in the audit log."
    verdicts = [EventName.REQUEST_APPROVE, EventName.REQUEST_REJECT]
    recorded = _recorded(verdicts, "request_id", "actor_id")
    for decision in Decision.objects.exclude(approver=None).filter(is_newer).iterator():
        if (decision.request_id, decision.approver_id) not in recorded:
            yield f"{_name(decision)} is not in the audit log."
    recorded = _recorded([EventName.REQUEST_GRANT], "request_id")
    newer = Q(request__created_at__gt=stub.last_at) if stub else Q()
    for grant in Grant.objects.filter(newer).iterator():
        if (grant.request_id,) not in recorded:
            yield f"{_name(grant)} is not in the audit log."


def _recorded(events: list[EventName], *fields: str) -> set[tuple[int | None, ...]]:
    return set(Event.objects.filter(event__in=events).order_by().values_list(*fields))


def _name(row: AuthenticatedRow) -> str:
    return f"{row._meta.verbose_name} {row.pk}".capitalize()
