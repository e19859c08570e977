"""The end of access: it expires, is revoked by hand, or is revoked because of lost eligibility."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from accessflows.models import Permission, RequesterCondition, Resource
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from requests_app.exceptions import RequestRefused
from requests_app.grants.records import mark_revoking
from requests_app.lifecycle import (
    BATCH_SIZE,
    conflict_on,
    lapse_all,
    lock_request,
    take_batch,
    transition_all,
)
from requests_app.models import (
    PENDING,
    AccessRequest,
    BreakGlassReview,
    Grant,
    RequestedTarget,
    Status,
)
from requests_app.policies import agent_refusal, can_revoke

if TYPE_CHECKING:
    from apono_portal.users.models import User

ENDABLE = (Status.GRANTING, Status.ACTIVE)
_REVOCABLE = [*PENDING, *ENDABLE]
_FINAL_EVENTS = {
    Status.EXPIRED: EventName.REQUEST_EXPIRE,
    Status.REVOKED: EventName.REQUEST_REVOKE,
}


def revoke_access(
    *, actor: "User", request: AccessRequest, client_info: ClientInfo = SYSTEM
) -> AccessRequest:
    """Start to revoke access now; also stops an activation."""
    with transaction.atomic():
        request = _lock_revocable(actor, request, client_info)
        if request.status not in ENDABLE:
            raise conflict_on(request)
        return _revoke_or_cancel(request, actor=actor, client_info=client_info)


def cancel_request(
    *, actor: "User", request: AccessRequest, client_info: ClientInfo = SYSTEM
) -> AccessRequest:
    """Cancel a request that is not active yet."""
    with transaction.atomic():
        request = _lock_revocable(actor, request, client_info)
        if request.status not in {*PENDING, Status.GRANTING}:
            raise conflict_on(request)
        return _revoke_or_cancel(request, actor=actor, client_info=client_info)


def revocable_requests_of(user: "User") -> QuerySet[AccessRequest]:
    """Return what `revoke_all_access_of` cancels or revokes."""
    return AccessRequest.objects.filter(requester=user, status__in=_REVOCABLE)


def revoke_all_access_of(
    *, user: "User", actor: "User | None", reason: str, client_info: ClientInfo = SYSTEM
) -> int:
    """Cancel a user's pending requests and revoke their access, and return of how many requests."""
    return _revoke_each(revocable_requests_of(user), actor, reason, client_info)


def revoke_ineligible() -> int:
    """Revoke access that lost its eligibility by whatever path, and return how many.

    The user, flow or integration was deleted or disabled, or the user is no longer a requester
    (docs/decisions/0013-lost-eligibility-revokes-access.md). At most `BATCH_SIZE` for each reason, so
    that a worker can stop in between.
    """
    if not AccessRequest.objects.filter(status__in=_REVOCABLE).exists():
        return 0
    conditions = {
        "The user is no longer active.": Q(requester=None) | Q(requester__is_active=False),
        "The access flow was deactivated or deleted.": Q(flow=None) | Q(flow__is_active=False),
        "The integration was disabled.": Q(targets__integration=None)
        | Q(targets__integration__is_active=False),
        "The user can no longer request access through this access flow.": ~_is_requester(),
        "The access flow is no longer open to AI agents.": Q(by_agent=True, flow__agents="none"),
        "Break-glass access of this user is paused.": Q(break_glass=True)
        & Exists(_pausing_reviews()),
        "A requested target no longer exists.": Q(status__in=PENDING) & Exists(_missing_targets()),
    }
    return sum(
        _revoke_each(AccessRequest.objects.filter(q), None, reason, SYSTEM, limit=BATCH_SIZE)
        for reason, q in conditions.items()
    )


def _pausing_reviews() -> QuerySet[BreakGlassReview]:
    requester = OuterRef("requester")
    return BreakGlassReview.objects.pausing().filter(request__requester=requester)


def _missing_targets() -> QuerySet[RequestedTarget]:
    """Return a request's targets that discovery no longer finds. Active access runs to its end."""
    missing = {"integration": OuterRef("integration"), "missing_since__isnull": False}
    resource = Resource.objects.filter(name=OuterRef("resource"), **missing)
    permission = Permission.objects.filter(name=OuterRef("permission"), **missing)
    return RequestedTarget.objects.filter(
        Q(Exists(resource)) | Q(Exists(permission)), request=OuterRef("pk")
    )


def _is_requester() -> Q:
    """Match requests whose user is a requester of the flow now."""
    met = RequesterCondition.objects.met_by("requester")
    return Q(Exists(met.filter(flow=OuterRef("flow"))))


def revoke_dropped(*, grants: Collection[Grant]) -> int:
    """Revoke up to `BATCH_SIZE` requests whose every login was dropped, and return how many."""
    dropped = [grant.pk for grant in grants]
    others = Grant.objects.live().filter(request=OuterRef("pk")).exclude(pk__in=dropped)
    requests = AccessRequest.objects.filter(grants__in=dropped).exclude(Exists(others))
    reason = "The login was dropped on the target, outside the portal."
    return _revoke_each(requests, None, reason, SYSTEM, limit=BATCH_SIZE)


def expire_due(*, now: datetime) -> int:
    """Start to revoke up to `BATCH_SIZE` requests whose time is up, and return how many."""
    with transaction.atomic():
        due = AccessRequest.objects.filter(status=Status.ACTIVE, ends_at__lte=now)
        requests = list(take_batch(due.order_by("ends_at")))
        transition_all(
            requests,
            to=Status.REVOKING,
            event=EventName.REQUEST_BEGIN_REVOCATION,
            actor=None,
            metadata={"reason": "The access expired."},
            final_status=Status.EXPIRED,
        )
        mark_revoking(requests)
    return len(requests)


def lapse_overdue(*, now: datetime) -> int:
    """Lapse up to `BATCH_SIZE` requests per pending status whose deadline passed; return how many."""
    lapsed = 0
    if not AccessRequest.objects.overdue_pending(now).exists():
        return lapsed
    for status in PENDING:
        with transaction.atomic():
            overdue = AccessRequest.objects.overdue_pending(now).filter(status=status)
            requests = list(take_batch(overdue.order_by("pending_until")))
            lapse_all(requests)
            lapsed += len(requests)
    return lapsed


def finish_revocations(*, requests: Collection[AccessRequest]) -> None:
    """Set the final status of locked requests in revocation of which every grant is removed."""
    live = Grant.objects.live().filter(request__in=requests)
    unfinished = set(live.values_list("request_id", flat=True))
    done = [r for r in requests if r.status == Status.REVOKING and r.pk not in unfinished]
    for status, event in _FINAL_EVENTS.items():
        finished = [request for request in done if request.final_status == status]
        transition_all(finished, to=status, event=event, actor=None)


def _lock_revocable(
    actor: "User", request: AccessRequest, client_info: ClientInfo
) -> AccessRequest:
    request = lock_request(request.pk)
    if sentence := agent_refusal(request, client_info):
        raise RequestRefused(sentence)
    if not can_revoke(request, actor):
        raise RequestRefused(
            "Only the requester and account admins may revoke this. Nothing was changed."
        )
    return request


def _revoke_or_cancel(
    request: AccessRequest, *, actor: "User | None", client_info: ClientInfo, reason: str = ""
) -> AccessRequest:
    revoke_or_cancel_all(requests=[request], actor=actor, client_info=client_info, reason=reason)
    return request


def revoke_or_cancel_all(
    *,
    requests: Collection[AccessRequest],
    actor: "User | None",
    client_info: ClientInfo,
    reason: str = "",
) -> None:
    """Revoke what may exist on a target, cancel what does not, of locked requests."""
    provisioned = set(
        Grant.objects.filter(request__in=requests).order_by().values_list("request_id", flat=True)
    )
    metadata = {"reason": reason} if reason else {}
    actor_label = str(actor) if actor else ""
    for status in _REVOCABLE:
        same = [request for request in requests if request.status == status]
        exists = [r for r in same if status not in PENDING and r.pk in provisioned]
        transition_all(
            [request for request in same if request not in exists],
            to=Status.CANCELLED,
            event=EventName.REQUEST_CANCEL,
            actor=actor,
            client_info=client_info,
            metadata=metadata,
            message=reason,
            revoked_by_label=actor_label,
        )
        transition_all(
            exists,
            to=Status.REVOKING,
            event=EventName.REQUEST_BEGIN_REVOCATION,
            actor=actor,
            client_info=client_info,
            metadata=metadata,
            message=reason,
            final_status=Status.REVOKED,
            revoked_by_label=actor_label,
        )
        mark_revoking(exists)


def _revoke_each(
    requests: QuerySet[AccessRequest],
    actor: "User | None",
    reason: str,
    client_info: ClientInfo,
    *,
    limit: int | None = None,
) -> int:
    candidates = requests.filter(status__in=_REVOCABLE).order_by("pk").values_list("pk", flat=True)
    pks = list(dict.fromkeys(candidates[:limit]))
    if limit is not None:  # a worker: what something else has locked is left for later
        with transaction.atomic():
            pks = [one.pk for one in take_batch(AccessRequest.objects.filter(pk__in=pks))]
    revoked = 0
    for pk in pks:
        with transaction.atomic():
            request = lock_request(pk)
            if request.status in _REVOCABLE:
                _revoke_or_cancel(request, actor=actor, client_info=client_info, reason=reason)
                revoked += 1
    return revoked
