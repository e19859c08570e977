"""Reads about people that cross models."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import (
    BigIntegerField,
    Count,
    DateTimeField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)

from apono_portal.core.db.prepared import prepared
from apono_portal.users.models import User
from audit.events import EventName
from audit.models import Event
from mfa.models import Authenticator, Verification
from mfa.verification.rate_limits import LIMITS
from mfa.verification.selectors import limit_starts, scopes_locked_out, users_locked_out
from requests_app.models import LIVE, AccessRequest

COOL_OFF: timedelta = settings.AXES_COOLOFF_TIME
SEEN, MEMBER, HELD, LOCKED = range(4)


@dataclass
class Known:
    """What the list tells of a person beside the person's own row."""

    authenticator: int | None = None
    verified_at: datetime | None = None
    groups: list[str] = field(default_factory=list)
    held_off: bool = False


def known_of(user_ids: Collection[int], now: datetime) -> dict[int, Known]:
    """Return what is known of some people: their authenticator, when each passed last, their groups,
    whether codes or sign-ins are held off. One query."""
    found = {pk: Known() for pk in user_ids}
    if not found:
        return found
    texts = [str(pk) for pk in user_ids]
    for what, pk, authenticator, at, words in _known(
        user_ids, now - COOL_OFF, texts, *limit_starts(now)
    ):
        person = found[int(words) if what == LOCKED else pk]
        if what == SEEN:
            person.authenticator, person.verified_at = authenticator, at
        elif what == MEMBER:
            person.groups.append(words)
        else:
            person.held_off = True
    for person in found.values():
        person.groups.sort(key=str.casefold)
    return found


@prepared([int], datetime, [str], *[datetime] * len(LIMITS))
def _known(
    user_ids: list[int], locked_since: datetime, texts: list[str], *begins: datetime
) -> QuerySet[Any, Any]:
    """Rows of what they tell of, a person, an authenticator, an instant, and words."""
    nothing = (Value(None, BigIntegerField()), Value(None, DateTimeField()))
    rows: QuerySet[Any, Any] = _seen(user_ids).union(
        _members(user_ids).values_list(Value(MEMBER), "user_id", *nothing, "group__name"),
        scopes_locked_out(begins, user_ids).values_list(
            Value(HELD), "user_id", *nothing, Value("")
        ),
        _locked(locked_since, texts).values_list(Value(LOCKED), Value(0), *nothing, "target_id"),
        all=True,
    )
    return rows


def _seen(user_ids: list[int]) -> QuerySet[Any, Any]:
    """Each is looked up: that one exists would be found by reading all authenticators, if the planner
    takes that for quicker."""
    devices = Authenticator.objects.confirmed().filter(user=OuterRef("pk")).order_by("pk")
    passed = Verification.objects.passed().filter(user=OuterRef("pk")).order_by("-at")
    people = User.objects.filter(pk__in=user_ids).order_by()
    looked_up = (Subquery(devices.values("pk")[:1]), Subquery(passed.values("at")[:1]))
    rows: QuerySet[Any, Any] = people.values_list(Value(SEEN), "pk", *looked_up, Value(""))
    return rows


def _members(user_ids: list[int]) -> QuerySet[Any, Any]:
    return User.groups.through.objects.filter(user__in=user_ids).order_by()


def held_off_now(now: datetime) -> set[int]:
    """Return the numbers of the people whose codes or sign-ins are held off somewhere. Two queries.

    Others than they may be meant: somebody else's attempts.
    """
    locked = _all_locked(now - COOL_OFF)
    return {int(pk) for pk in locked} | users_locked_out(now=now)


@prepared(datetime)
def _all_locked(since: datetime) -> QuerySet[Any, Any]:
    return _locked(since, []).values_list("target_id", flat=True)


def _locked(since: datetime, user_ids: list[str]) -> QuerySet[Event]:
    """Whose sign-in was locked lately: among some people, of all if there are none."""
    locks = Event.objects.filter(event=EventName.SESSION_LOCK_OUT, at__gt=since)
    locks = locks.exclude(target_id="").order_by()
    if user_ids:
        kind = User._meta.label_lower
        locks = locks.filter(target_type=kind, target_id__in=user_ids)
    return locks


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
