"""Ends: by time, by hand, by the loss of a request's ground."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accessflows.models import AccessFlow, Integration, Permission, Resource
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from requests_app.exceptions import RequestRefused
from requests_app.grants.records import mark_revoking
from requests_app.lifecycle import (
    BATCH,
    conflict_on,
    lock_request,
    take_batch,
    transition,
    transition_all,
)
from requests_app.models import (
    PENDING,
    AccessRequest,
    Grant,
    GrantState,
    RequestedTarget,
    Status,
)
from requests_app.policies import may_end

_CLOSINGS = {
    Status.EXPIRED: EventName.REQUEST_EXPIRE,
    Status.REVOKED: EventName.REQUEST_REVOKE,
}


def revoke_access(
    *, actor: Any, request: AccessRequest, client_info: ClientInfo = SYSTEM
) -> AccessRequest:
    """Begin the end of access now, by hand. Stops an activation that is under way, too."""
    with transaction.atomic():
        request = _lock_for(actor, request)
        if request.status not in {Status.GRANTING, Status.ACTIVE}:
            raise conflict_on(request)
        return _stop(request, actor=actor, client_info=client_info)


def cancel_request(
    *, actor: Any, request: AccessRequest, client_info: ClientInfo = SYSTEM
) -> AccessRequest:
    """Withdraw a request that is not open yet."""
    with transaction.atomic():
        request = _lock_for(actor, request)
        if request.status not in {*PENDING, Status.GRANTING}:
            raise conflict_on(request)
        return _stop(request, actor=actor, client_info=client_info)


def revoke_all_access_of(
    *,
    user: Any | None = None,
    flow: AccessFlow | None = None,
    integration: Integration | None = None,
    actor: Any | None,
    reason: str,
    client_info: ClientInfo = SYSTEM,
) -> int:
    """Withdraw what is pending and end what is open of a person, a flow or an integration."""
    concerned = Q(pk__in=[])
    if user is not None:
        concerned |= Q(requester=user)
    if flow is not None:
        concerned |= Q(flow=flow)
    if integration is not None:
        concerned |= Q(targets__integration=integration) | Q(grants__integration=integration)
    return _stop_each(AccessRequest.objects.filter(concerned), actor, reason, client_info)


def revoke_ineligible() -> int:
    """End what lost its ground by whatever path: person, flow or integration gone or switched off, or
    the person no longer among those who may ask (docs/decisions/0024-lost-eligibility-ends-access.md).

    Up to `BATCH` for each reason, so that a worker can stop in between. Returns how many.
    """
    lost = {
        "The person is no longer active in the portal.": Q(requester=None)
        | Q(requester__is_active=False),
        "The access flow was switched off or deleted.": Q(flow=None) | Q(flow__is_active=False),
        "The integration was switched off.": Q(targets__integration=None)
        | Q(targets__integration__is_active=False),
        "The person may no longer ask through this access flow.": ~_may_still_ask(),
        "What was asked for is no longer there on the target.": Q(status__in=PENDING)
        & Exists(_vanished_targets()),
    }
    return sum(
        _stop_each(AccessRequest.objects.filter(condition), None, reason, SYSTEM, most=BATCH)
        for reason, condition in lost.items()
    )


def _vanished_targets() -> QuerySet[RequestedTarget]:
    """Of a request: targets that discovery does not find any more. What is open runs on to its end."""
    where = {"integration": OuterRef("integration"), "missing_since__isnull": False}
    here = Q(Exists(Resource.objects.filter(name=OuterRef("resource"), **where)))
    here |= Q(Exists(Permission.objects.filter(name=OuterRef("permission"), **where)))
    return RequestedTarget.objects.filter(here, request=OuterRef("pk"))


def _may_still_ask() -> Q:
    """The requester is among the flow's requesters, by name or by group, as of now."""
    flows = AccessFlow.objects.filter(pk=OuterRef("flow"))
    person = OuterRef("requester")
    by_name = flows.filter(requester_users=person)
    by_group = flows.filter(requester_groups__user=person)
    return Q(Exists(by_name)) | Q(Exists(by_group))


def end_vanished(*, grants: Collection[Grant]) -> int:
    """End up to `BATCH` requests of which no login is left on any target. Returns how many."""
    gone = [grant.pk for grant in grants]
    others_live = Grant.objects.live().filter(request=OuterRef("pk")).exclude(pk__in=gone)
    concerned = AccessRequest.objects.filter(grants__in=gone).exclude(Exists(others_live))
    reason = "The login was dropped on the target, not by the portal."
    return _stop_each(concerned, None, reason, SYSTEM, most=BATCH)


def expire_due(*, now: datetime) -> int:
    """Begin the end of every request whose time is up, up to `BATCH`. Returns how many."""
    with transaction.atomic():
        due = AccessRequest.objects.filter(status=Status.ACTIVE, ends_at__lte=now)
        requests = list(take_batch(due.order_by("ends_at")))
        transition_all(
            requests,
            to=Status.ENDING,
            event=EventName.REQUEST_END,
            actor=None,
            metadata={"reason": "Its time is up."},
            ends_as=Status.EXPIRED,
        )
        mark_revoking(requests)
    return len(requests)


def lapse_overdue(*, now: datetime) -> int:
    """Lapse what nobody verified or decided in time, up to `BATCH`. Returns how many."""
    words = {
        Status.PENDING_MFA: "No code was entered in time.",
        Status.PENDING_APPROVAL: "Nobody decided in time.",
    }
    done = 0
    for status, sentence in words.items():
        with transaction.atomic():
            overdue = AccessRequest.objects.overdue_pending(now).filter(status=status)
            requests = list(take_batch(overdue.order_by("pending_until")))
            transition_all(
                requests,
                to=Status.LAPSED,
                event=EventName.REQUEST_LAPSE,
                actor=None,
                metadata={"reason": sentence},
                message=sentence,
                ended_at=now,
            )
            done += len(requests)
    return done


def close_when_ended(*, requests: Collection[AccessRequest]) -> None:
    """Close ending requests once all their grants are proven gone. In a transaction that locks them."""
    left = Grant.objects.filter(request__in=requests).exclude(state=GrantState.ENDED)
    unproven = set(left.values_list("request_id", flat=True))
    over = [r for r in requests if r.status == Status.ENDING and r.pk not in unproven]
    for to, event in _CLOSINGS.items():
        ended = [request for request in over if request.ends_as == to]
        transition_all(ended, to=to, event=event, actor=None, ended_at=timezone.now())


def _lock_for(actor: Any, request: AccessRequest) -> AccessRequest:
    request = lock_request(request.pk)
    if not may_end(request, actor):
        raise RequestRefused(
            "Only the requester and account admins may end this. Nothing was changed."
        )
    return request


def _stop(
    request: AccessRequest, *, actor: Any | None, client_info: ClientInfo, reason: str = ""
) -> AccessRequest:
    """End what may exist on a target; cancel what does not."""
    now = timezone.now()
    who = str(actor) if actor else ""
    told = {"reason": reason} if reason else {}
    if request.status in PENDING or not request.grants.exists():
        return transition(
            request,
            to=Status.CANCELLED,
            event=EventName.REQUEST_CANCEL,
            actor=actor,
            client_info=client_info,
            metadata=told,
            message=reason,
            end_asked_by_label=who,
            ended_at=now,
        )
    transition(
        request,
        to=Status.ENDING,
        event=EventName.REQUEST_END,
        actor=actor,
        client_info=client_info,
        metadata=told,
        message=reason,
        ends_as=Status.REVOKED,
        end_asked_by_label=who,
    )
    mark_revoking([request])
    return request


def _stop_each(
    concerned: QuerySet[AccessRequest],
    actor: Any | None,
    reason: str,
    client_info: ClientInfo,
    *,
    most: int | None = None,
) -> int:
    stoppable = [*PENDING, Status.GRANTING, Status.ACTIVE]
    pks = concerned.filter(status__in=stoppable).order_by("pk").values_list("pk", flat=True)
    stopped = 0
    for pk in dict.fromkeys(pks[:most]):
        with transaction.atomic():
            request = lock_request(pk)
            if request.status in stoppable:
                _stop(request, actor=actor, client_info=client_info, reason=reason)
                stopped += 1
    return stopped
