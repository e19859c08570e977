"""Reads about people that cross models."""

from typing import TYPE_CHECKING

from django.contrib.auth.models import Group
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from mfa.models import Authenticator, Verification
from requests_app.models import LIVE, AccessRequest

if TYPE_CHECKING:
    from apono_portal.users.managers import UserQuerySet
    from apono_portal.users.models import User


def people_rows(people: "UserQuerySet") -> "UserQuerySet":
    """Return people with ``enrolled`` and ``last_verified_at``, groups prefetched, by name."""
    passed = Verification.objects.passed().filter(user=OuterRef("pk")).order_by("-at")
    return people.annotate(
        enrolled=Exists(Authenticator.objects.confirmed().filter(user=OuterRef("pk"))),
        last_verified_at=Subquery(passed.values("at")[:1]),
    ).prefetch_related("groups")


def group_rows() -> QuerySet[Group]:
    """Return groups with ``active_members`` and the number of flows that name each."""
    return Group.objects.annotate(
        active_members=Count("user", filter=Q(user__is_active=True), distinct=True),
        requestable=Count("requestable_flows", distinct=True),
        decidable=Count("decidable_flows", distinct=True),
    ).order_by("name")


def live_requests_of(user: "User") -> QuerySet[AccessRequest]:
    """Return the requests through which a person has access, is about to, or is losing it."""
    return AccessRequest.objects.filter(requester=user, status__in=LIVE)
