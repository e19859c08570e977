"""Reads about people that cross models."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from accessflows.enrolment import enrolled
from apono_portal.users.models import User
from audit.events import EventName
from audit.models import Event
from mfa.models import Verification
from mfa.selectors import people_with_lane_held_off
from requests_app.models import LIVE, AccessRequest

if TYPE_CHECKING:
    from apono_portal.users.managers import UserQuerySet


def people_rows(people: "UserQuerySet") -> "UserQuerySet":
    """Return people with ``enrolled`` and ``last_verified_at``, groups prefetched."""
    passed = Verification.objects.passed().filter(user=OuterRef("pk")).order_by("-at")
    return people.annotate(
        enrolled=enrolled(),
        last_verified_at=Subquery(passed.values("at")[:1]),
    ).prefetch_related("groups")


def held_off_now(now: datetime, user_ids: Collection[int] | None = None) -> set[int]:
    """Return the numbers of the people whose codes or sign-ins are held off somewhere. Two queries.

    ``user_ids`` looks among these only. Others than they may be meant: somebody else's tries.
    """
    ids = [str(pk) for pk in user_ids] if user_ids is not None else None
    cool_off: timedelta = settings.AXES_COOLOFF_TIME
    locks = Event.objects.filter(event=EventName.SESSION_LOCK, at__gt=now - cool_off)
    locks = locks.exclude(target_id="")
    if ids is not None:
        locks = locks.filter(target_type=User._meta.label_lower, target_id__in=ids)
    found = {int(target) for target in locks.order_by().values_list("target_id", flat=True)}
    return found | people_with_lane_held_off(now=now, user_ids=user_ids)


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
