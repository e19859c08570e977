"""The lifecycle of a request, and the one function that changes its status.

    PENDING_MFA -> PENDING_APPROVAL -> GRANTING -> ACTIVE -> REVOKING -> EXPIRED | REVOKED

Access expires by time and is revoked by hand. A request returns to PENDING_MFA when its evidence is
voided before anything exists on a target, as by a reset, and to PENDING_APPROVAL when an approver's is.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from accessflows.models import AccessFlow
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.models import Event
from audit.services import record_many
from mfa.models import MfaState, Verification
from mfa.verification.locking import lock_states
from requests_app.evidence_checks import record_tampering
from requests_app.exceptions import Conflict
from requests_app.models import UNFINISHED, AccessRequest, Decision, Status
from requests_app.policies import TAMPERING, is_approved

if TYPE_CHECKING:
    from apono_portal.users.models import User

BATCH_SIZE = 100  # requests that change status in one transaction
LAPSE_REASONS = {
    Status.PENDING_MFA: "MFA was not verified in time.",
    Status.PENDING_APPROVAL: "Nobody decided in time.",
}

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
            Status.REVOKING,
            Status.PENDING_MFA,
            Status.PENDING_APPROVAL,
            Status.FAILED,
            Status.CANCELLED,
        }
    ),
    Status.ACTIVE: frozenset({Status.REVOKING}),
    Status.REVOKING: frozenset({Status.EXPIRED, Status.REVOKED}),
    Status.EXPIRED: frozenset(),
    Status.REVOKED: frozenset(),
    Status.REJECTED: frozenset(),
    Status.LAPSED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.FAILED: frozenset(),
}


def pending_until(status: Status, now: datetime) -> datetime | None:
    """Return the deadline of a pending status; None for a status that has none."""
    lifetimes = {
        Status.PENDING_MFA: settings.PENDING_MFA_LIFETIME,
        Status.PENDING_APPROVAL: settings.APPROVAL_LIFETIME,
        Status.GRANTING: settings.ACTIVATION_LIFETIME,
    }
    return now + lifetimes[status] if status in lifetimes else None


def next_status(flow: AccessFlow | None, request: AccessRequest | None = None) -> Status:
    """Return the status after MFA; approvals that a request already has still count."""
    return Status.GRANTING if is_approved(flow, request) else Status.PENDING_APPROVAL


def next_escalation(
    flow: AccessFlow | None, status: Status, tier: int, now: datetime
) -> datetime | None:
    """Return when a request that enters ``status`` now escalates to the tier after ``tier``."""
    if flow is None or status != Status.PENDING_APPROVAL:
        return None
    next_tier = flow.escalation_tiers.filter(position__gt=tier).first()
    return now + next_tier.wait if next_tier else None


def evidence_fields(evidence: Verification | None) -> dict[str, Any]:
    """Return the snapshot of a verification that requests and extensions store."""
    return {
        "verification": evidence,
        "verified_at": evidence.at if evidence else None,
        "verified_method": evidence.method if evidence else "",
        "verified_with": evidence.device_name if evidence else "",
        "verified_scope": evidence.scope if evidence else "",
        "verified_from": evidence.address if evidence else None,
    }


def lock_request(pk: int) -> AccessRequest:
    """Lock and reload a request, in a transaction and after `lock_state` where MFA matters."""
    return AccessRequest.objects.select_for_update().get(pk=pk)


def lock_requests(pks: Collection[int]) -> dict[int, AccessRequest]:
    """Lock and reload requests in a transaction, in the one order that avoids deadlocks."""
    locked = AccessRequest.objects.select_for_update().filter(pk__in=pks).order_by("pk")
    return {request.pk: request for request in locked}


def lock_with_state(pk: int) -> tuple[AccessRequest, MfaState | None]:
    """Lock the MFA states of requester and, if MFA is required, approvers; then the request.

    Return the request and the requester's state.
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
    actor: "User | None",
    client_info: ClientInfo = SYSTEM,
    metadata: Mapping[str, object] | None = None,
    **changes: object,
) -> AccessRequest:
    """Change the status of one request (`transition_all`)."""
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
    actor: "User | None",
    client_info: ClientInfo = SYSTEM,
    metadata: Mapping[str, object] | None = None,
    **changes: object,
) -> None:
    """Change requests from one common status to another, or raise `Conflict`.

    Status, ``changes`` and audit events are written in the caller's transaction, all or none. A final
    status sets ``ended_at``.
    """
    if not requests:
        return
    previous = Status(requests[0].status)
    for request in requests:
        if request.status != previous or to not in ALLOWED[previous]:
            raise conflict_on(request)
    now = timezone.now()
    ended_at = None if ALLOWED[to] else now
    changes = {"status": to, "status_changed_at": now, "ended_at": ended_at, **changes}
    pks = [request.pk for request in requests]
    updated = AccessRequest.objects.filter(pk__in=pks, status=previous).update(**changes)
    if updated != len(requests):
        other = AccessRequest.objects.filter(pk__in=pks).exclude(status=to).first()
        raise conflict_on(other or AccessRequest.objects.get(pk=pks[0]))
    for request in requests:
        for name, value in changes.items():
            setattr(request, name, value)
        if to in UNFINISHED:
            sign_request(request)
    metadata = {"from": previous.value, "to": to.value, **(metadata or {})}
    about = [(request, request, metadata) for request in requests]
    record_many(event=event, actor=actor, entries=about, client_info=client_info)
    if (reason := str(metadata.get("reason"))) in TAMPERING:
        for request in requests:
            record_tampering(request=request, reason=reason)


def cancel_ineligible(request: AccessRequest, reason: str) -> AccessRequest:
    """Cancel a locked request that may not go on."""
    return transition(
        request,
        to=Status.CANCELLED,
        event=EventName.REQUEST_CANCEL,
        actor=None,
        metadata={"reason": reason},
        message=reason,
    )


def lapse_all(requests: list[AccessRequest]) -> None:
    """Let locked requests of one pending status lapse."""
    if not requests:
        return
    reason = LAPSE_REASONS[Status(requests[0].status)]
    transition_all(
        requests,
        to=Status.LAPSED,
        event=EventName.REQUEST_LAPSE,
        actor=None,
        metadata={"reason": reason},
        message=reason,
    )


def sign_request(request: AccessRequest) -> None:
    """Store the MAC of a request as it is in memory. Call it in the transaction of the change."""
    AccessRequest.objects.filter(pk=request.pk).update(mac=request.sign().mac)


def conflict_on(request: AccessRequest) -> Conflict:
    """Return a `Conflict` that says the request's status, since when and by whom."""
    since = timezone.localtime(request.status_changed_at)
    last = Event.objects.about_request(request.pk).first()
    by = f" ({last.actor_label})" if last else ""
    return Conflict(
        f"{request.reference} has been {request.get_status_display()} since {since:%H:%M:%S}{by}. "
        "Someone else acted first. Nothing was changed."
    )


def take_batch(requests: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
    """Lock up to `BATCH_SIZE` rows that no other worker has locked."""
    if connection.features.has_select_for_update_skip_locked:
        requests = requests.select_for_update(skip_locked=True, of=("self",))
    return requests[:BATCH_SIZE]
