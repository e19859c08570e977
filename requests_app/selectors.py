"""What pages read: one's own access and requests, and what waits for a decision."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.utils import timezone

from apono_portal.core.db.prepared import leave_related, prepared
from audit.models import Event
from mfa.verification.attempts import failures_in
from mfa.verification.rate_limits import locked_until
from mfa.verification.throttle_scope import ThrottleScope
from mfa.verification.window import lockout_lifted_at_of
from requests_app.models import PENDING, AccessRequest, Grant, RequestedTarget, Status

IN_USE = (Status.ACTIVE, Status.ENDING)

UNDER_WAY = (*PENDING, Status.GRANTING)

MOVING = (Status.GRANTING, Status.ENDING)


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


def held_off_until_of(user: Any, scope: ThrottleScope) -> datetime | None:
    """Return from when codes of this scope are taken again, None if they are now."""
    now = timezone.now()
    return locked_until(
        failures_in(user.pk, scope.label, now), now, month_since=lockout_lifted_at_of(user)
    )


def parked_requests_of(user: Any) -> list[AccessRequest]:
    """Return what one right code would release, oldest first."""
    found = _parked(user.pk, timezone.now())
    read_targets(found)
    return found


@prepared(int, datetime)
def _parked(user_id: int, now: datetime) -> QuerySet[AccessRequest]:
    own = AccessRequest.objects.filter(requester=user_id)
    return own.pending_mfa().filter(pending_until__gt=now).order_by("pk")


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
