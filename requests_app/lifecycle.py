"""Where a request stands and what may follow: the one way a status changes.

    PENDING_MFA -> PENDING_APPROVAL -> GRANTING -> ACTIVE -> ENDING -> EXPIRED | REVOKED

Expired (by time) and Revoked (by hand) are different ends. A request goes back to PENDING_MFA when
its evidence was voided before anything was made on a target, as by a reset, and to PENDING_APPROVAL
when that of an approver was.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.models import Event
from audit.services import record_many
from mfa.models import MfaState
from mfa.verification.locking import lock_states
from requests_app.exceptions import Conflict
from requests_app.models import AccessRequest, Decision, Status

ALLOWED: dict[Status, frozenset[Status]] = {
    Status.PENDING_MFA: frozenset(
        {Status.PENDING_APPROVAL, Status.GRANTING, Status.LAPSED, Status.CANCELLED}
    ),
    Status.PENDING_APPROVAL: frozenset(
        {Status.GRANTING, Status.PENDING_MFA, Status.REJECTED, Status.LAPSED, Status.CANCELLED}
    ),
    Status.GRANTING: frozenset(
        {
            Status.ACTIVE,
            Status.ENDING,
            Status.PENDING_MFA,
            Status.PENDING_APPROVAL,
            Status.FAILED,
            Status.CANCELLED,
        }
    ),
    Status.ACTIVE: frozenset({Status.ENDING}),
    Status.ENDING: frozenset({Status.EXPIRED, Status.REVOKED}),
    Status.EXPIRED: frozenset(),
    Status.REVOKED: frozenset(),
    Status.REJECTED: frozenset(),
    Status.LAPSED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.FAILED: frozenset(),
}


def pending_until(status: Status, now: datetime) -> datetime | None:
    """Until when a request may stand at a status; None where nothing runs out."""
    lifetimes = {
        Status.PENDING_MFA: settings.PENDING_MFA_LIFETIME,
        Status.PENDING_APPROVAL: settings.APPROVAL_LIFETIME,
        Status.GRANTING: settings.ACTIVATION_LIFETIME,
    }
    return now + lifetimes[status] if status in lifetimes else None


def lock_request(pk: int) -> AccessRequest:
    """Lock and reload a request. Inside a transaction, after `lock_state` where MFA is decided on."""
    request: AccessRequest = AccessRequest.objects.select_for_update().get(pk=pk)
    return request


def lock_requests(pks: Collection[int]) -> dict[int, AccessRequest]:
    """Lock and reload many, in the order everybody takes them. Inside a transaction."""
    locked = AccessRequest.objects.select_for_update().filter(pk__in=pks).order_by("pk")
    return {request.pk: request for request in locked}


def lock_with_state(pk: int) -> tuple[AccessRequest, MfaState | None]:
    """Lock the MFA states a request stands on, then the request: the one order of locks.

    They are the requester's, which is returned, and those of its approvers where MFA is required.
    """
    requester_id = AccessRequest.objects.values_list("requester_id", flat=True).get(pk=pk)
    decisions = Decision.objects.filter(request=pk, request__require_mfa=True)
    approvers = decisions.exclude(approver=None).values_list("approver_id", flat=True)
    states = lock_states(*filter(None, [requester_id, *approvers]))
    return lock_request(pk), states.get(requester_id or 0)


def transition(
    request: AccessRequest,
    *,
    to: Status,
    event: EventName,
    actor: Any | None,
    client_info: ClientInfo = SYSTEM,
    metadata: dict[str, Any] | None = None,
    **changes: Any,
) -> AccessRequest:
    """Move one request on (`transition_all`)."""
    transition_all(
        [request],
        to=to,
        event=event,
        actor=actor,
        client_info=client_info,
        metadata=metadata,
        **changes,
    )
    return request


def transition_all(
    requests: list[AccessRequest],
    *,
    to: Status,
    event: EventName,
    actor: Any | None,
    client_info: ClientInfo = SYSTEM,
    metadata: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """Move requests that stand at the same place on, or raise `Conflict` if one is not there.

    Status, ``changes`` and the audit events are written in the caller's transaction, all or none.
    """
    if not requests:
        return
    came_from = Status(requests[0].status)
    for request in requests:
        if request.status != came_from or to not in ALLOWED[came_from]:
            raise conflict_on(request)
    changes = {"status": to, "status_changed_at": timezone.now(), **changes}
    pks = [request.pk for request in requests]
    moved = AccessRequest.objects.filter(pk__in=pks, status=came_from).update(**changes)
    if moved != len(requests):
        elsewhere = AccessRequest.objects.filter(pk__in=pks).exclude(status=to).first()
        raise conflict_on(elsewhere or AccessRequest.objects.get(pk=pks[0]))
    for request in requests:
        for name, value in changes.items():
            setattr(request, name, value)
    told = {"from": came_from.value, "to": to.value, **(metadata or {})}
    about = [(request, request, told) for request in requests]
    record_many(event=event, actor=actor, entries=about, client_info=client_info)


def conflict_on(request: AccessRequest) -> Conflict:
    """Say what a request is now, since when and through whom."""
    since = timezone.localtime(request.status_changed_at)
    last = Event.objects.about_request(request.pk).first()
    by = f" through {last.actor_label}" if last else ""
    return Conflict(
        f"{request.reference} is {request.get_status_display()} since {since:%H:%M:%S}{by}. "
        "Somebody was first; what you asked for was not done."
    )


BATCH = 100  # requests that are moved on in one transaction


def take_batch(requests: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
    """Lock up to `BATCH` rows, leaving those that another worker holds to it."""
    if connection.features.has_select_for_update_skip_locked:
        requests = requests.select_for_update(skip_locked=True)
    return requests[:BATCH]
