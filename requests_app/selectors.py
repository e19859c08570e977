"""What pages read: one's own access and requests, and what waits for a decision."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, Prefetch, QuerySet, Window
from django.utils import timezone

from accessflows.models import Permission
from audit.models import Event
from audit.prepared import leave_related, prepared
from mfa.lanes import Lane
from mfa.limits import held_off_until
from mfa.tries import failures_in
from mfa.window import cap_lifted_at_of
from requests_app.models import PENDING, AccessRequest, Decision, Grant, RequestedTarget, Status

IN_USE = (Status.ACTIVE, Status.ENDING)
UNDER_WAY = (*PENDING, Status.GRANTING)
MOVING = (Status.GRANTING, Status.ENDING)
QUEUE_SHOWN = 25


def with_targets(requests: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
    return requests.prefetch_related("targets", "grants")


def access_of(user: Any) -> dict[str, list[AccessRequest]]:
    """Return what a person can use now, what is on its way, and what ended last, with the grants of what
    is being opened or ended. Three queries, and one if anything is."""
    open_ones = _open(user.pk)
    in_use = [each for each in open_ones if each.status in IN_USE]
    found = {
        "in_use": sorted(in_use, key=_next_to_end),
        "under_way": [each for each in open_ones if each.status in UNDER_WAY],
        "over": _over(user.pk),
    }
    read_targets([*open_ones, *found["over"]])
    _read_grants([each for each in open_ones if each.status in MOVING])
    return found


def _next_to_end(request: AccessRequest) -> tuple[bool, float, int]:
    """What was ended before it was ever opened has no end of its own, and comes last."""
    ends_at = request.ends_at
    return ends_at is None, ends_at.timestamp() if ends_at else 0, request.pk


@prepared(int)
def _open(user_id: int) -> QuerySet[AccessRequest]:
    return AccessRequest.objects.of(user_id).filter(status__in=[*IN_USE, *UNDER_WAY])


@prepared(int)
def _over(user_id: int) -> QuerySet[AccessRequest]:
    return AccessRequest.objects.of(user_id).exclude(status__in=[*IN_USE, *UNDER_WAY])[:5]


def read_targets(requests: Collection[AccessRequest]) -> None:
    """Read what requests ask for, as prefetching would. One query."""
    if requests:
        leave_related(requests, "targets", _targets_of({each.pk for each in requests}))


def _read_grants(requests: Collection[AccessRequest]) -> None:
    if requests:
        leave_related(requests, "grants", _grants_of({each.pk for each in requests}))


@prepared([int])
def _targets_of(pks: list[int]) -> QuerySet[RequestedTarget]:
    return RequestedTarget.objects.filter(request__in=pks)


@prepared([int])
def _grants_of(pks: list[int]) -> QuerySet[Grant]:
    return Grant.objects.filter(request__in=pks)


def own_requests(user: Any) -> QuerySet[AccessRequest]:
    return with_targets(AccessRequest.objects.of(user))


def held_off_until_of(user: Any, lane: Lane) -> datetime | None:
    """Return from when codes of this lane are taken again, None if they are now."""
    now = timezone.now()
    return held_off_until(
        failures_in(user.pk, lane.label, now), now, month_since=cap_lifted_at_of(user)
    )


def parked_requests_of(user: Any) -> list[AccessRequest]:
    """Return what one right code would release, oldest first."""
    found = _parked(user.pk, timezone.now())
    read_targets(found)
    return found


@prepared(int, datetime)
def _parked(user_id: int, now: datetime) -> QuerySet[AccessRequest]:
    own = AccessRequest.objects.filter(requester=user_id)
    return own.parked().filter(pending_until__gt=now).order_by("pk")


def request_to_decide(user: Any, pk: int) -> AccessRequest | None:
    """Return a request through a flow that names the person as approver; an own one if it allows."""
    found = AccessRequest.objects.decidable_by(user).select_related("flow")
    return found.filter(pk=pk).first()


class Queue(NamedTuple):
    """The oldest requests that wait for a person's decision, and how many wait in all."""

    oldest: list[AccessRequest]
    waiting: int

    def find(self, pk: int) -> AccessRequest | None:
        return next((each for each in self.oldest if each.pk == pk), None)


def queue_of(user: Any) -> Queue:
    """One query."""
    found = _queue(user.pk, timezone.now())
    return Queue(found, found[0].waiting if found else 0)


@prepared(int, datetime)
def _queue(user_id: int, now: datetime) -> QuerySet[AccessRequest]:
    waiting = AccessRequest.objects.awaiting_decision_by(user_id).filter(pending_until__gt=now)
    counted = waiting.select_related("flow").annotate(waiting=Window(Count("pk")))
    return counted.order_by("pk")[:QUEUE_SHOWN]


def decided_by(user: Any) -> QuerySet[Decision]:
    """Return a person's own decisions, the latest first."""
    decisions = Decision.objects.filter(approver=user).select_related("request").order_by("-pk")
    return decisions.prefetch_related("request__targets")


def request_in_full(user: Any, pk: int) -> AccessRequest | None:
    """Return a request with all its page tells, if the person may see it."""
    visible = AccessRequest.objects.visible_to(user).select_related("flow", "requester")
    return (
        visible.prefetch_related(
            "targets",
            "decisions",
            "extensions",
            Prefetch("grants"),
            "grants__integration",
            "grants__drifts",
        )
        .filter(pk=pk)
        .first()
    )


def events_of(request: AccessRequest) -> list[Event]:
    """Return what is on the record about a request, the latest first."""
    return list(Event.objects.about_request(request.pk).order_by("-pk")[:200])


def rights_of(request: AccessRequest) -> list[tuple[RequestedTarget, list[str]]]:
    """Return each target of a request with what it lets one do now, as the target itself says."""
    targets = list(request.targets.all())
    integrations = {target.integration_id for target in targets if target.integration_id}
    names = {target.permission for target in targets}
    offered = _permissions(integrations, names) if integrations else []
    known = {(each.integration_id, each.name): each for each in offered}
    found = [(each, known.get((each.integration_id or 0, each.permission))) for each in targets]
    return [
        (target, permission.words_on(target.resource) if permission else [])
        for target, permission in found
    ]


@prepared([int], [str])
def _permissions(integrations: list[int], names: list[str]) -> QuerySet[Permission]:
    return Permission.objects.present().filter(integration__in=integrations, name__in=names)
