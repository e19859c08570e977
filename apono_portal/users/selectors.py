"""Reads about people that cross models."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from apono_portal.users.models import User
from audit.events import EventName
from audit.models import Event
from audit.prepared import prepared
from mfa.models import Authenticator, Verification
from mfa.selectors import people_with_lane_held_off
from requests_app.models import LIVE, AccessRequest

COOL_OFF: timedelta = settings.AXES_COOLOFF_TIME


def seen_of(user_ids: Collection[int]) -> dict[int, tuple[int | None, datetime | None]]:
    """Return the number of the authenticator of some people and when each passed last. One query."""
    rows = _seen(user_ids) if user_ids else []
    return {pk: (authenticator, verified_at) for pk, authenticator, verified_at in rows}


@prepared([int])
def _seen(user_ids: list[int]) -> QuerySet[Any, Any]:
    """Each is looked up: that one exists would be found by reading all authenticators, if the planner
    takes that for quicker."""
    devices = Authenticator.objects.confirmed().filter(user=OuterRef("pk")).order_by("pk")
    passed = Verification.objects.passed().filter(user=OuterRef("pk")).order_by("-at")
    people = User.objects.filter(pk__in=user_ids).order_by()
    looked_up = (Subquery(devices.values("pk")[:1]), Subquery(passed.values("at")[:1]))
    rows: QuerySet[Any, Any] = people.values_list("pk", *looked_up)
    return rows


def groups_of(user_ids: Collection[int]) -> dict[int, list[str]]:
    """Return the names of the groups of some people, by person. One query."""
    found: dict[int, list[str]] = {}
    for user_id, name in _groups_of(user_ids) if user_ids else ():
        found.setdefault(user_id, []).append(name)
    return found


@prepared([int])
def _groups_of(user_ids: list[int]) -> QuerySet[Any, Any]:
    members = User.groups.through.objects.filter(user__in=user_ids)
    return members.order_by("group__name").values_list("user_id", "group__name")


def held_off_now(now: datetime, user_ids: Collection[int] | None = None) -> set[int]:
    """Return the numbers of the people whose codes or sign-ins are held off somewhere. Two queries.

    ``user_ids`` looks among these only. Others than they may be meant: somebody else's tries.
    """
    if user_ids is not None and not user_ids:
        return set()
    locked = _locked(now - COOL_OFF, [str(pk) for pk in user_ids or ()])
    return {int(pk) for pk in locked} | people_with_lane_held_off(now=now, user_ids=user_ids)


@prepared(datetime, [str])
def _locked(since: datetime, user_ids: list[str]) -> QuerySet[Any, Any]:
    """Whose sign-in was locked lately: among some people, of all if there are none."""
    locks = Event.objects.filter(event=EventName.SESSION_LOCK, at__gt=since)
    locks = locks.exclude(target_id="").order_by()
    if user_ids:
        kind = User._meta.label_lower
        locks = locks.filter(target_type=kind, target_id__in=user_ids)
    return locks.values_list("target_id", flat=True)


def group_rows() -> QuerySet[Group]:
    """Return groups with ``active_members`` and the number of flows that name each."""
    return Group.objects.annotate(
        active_members=Count("user", filter=Q(user__is_active=True), distinct=True),
        requestable=Count("requestable_flows", distinct=True),
        decidable=Count("decidable_flows", distinct=True),
    ).order_by("name")


def live_requests_of(user: User) -> QuerySet[AccessRequest]:
    """Return the requests through which a person has access, is about to, or is losing it."""
    return AccessRequest.objects.filter(requester=user, status__in=LIVE)
