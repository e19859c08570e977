"""Reads about users that cross apps."""

from collections.abc import Collection
from datetime import datetime

from django.contrib.auth.models import Group
from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery

from apono_portal.users.managers import UserQuerySet
from apono_portal.users.models import User
from apono_portal.users.password_limits import PERIOD
from audit.events import EventName
from audit.models import Event
from mfa.models import Verification
from mfa.verification.lockouts import users_locked_out
from mfa.verification.window import with_methods
from requests_app.models import LIVE, AccessRequest


def with_mfa_and_groups(users: UserQuerySet) -> UserQuerySet:
    """Add one authenticator and passkey and ``last_verified_at``, and prefetch groups.

    With EXISTS, PostgreSQL would read all authenticators to tell which users of one page have one.
    """
    successes = Verification.objects.passed().filter(user=OuterRef("pk")).order_by("-at")
    return (
        with_methods(users)
        .annotate(
            last_verified_at=Subquery(successes.values("at")[:1]),
        )
        .prefetch_related(Prefetch("groups", Group.objects.order_by("name")))
    )


def locked_out_users(now: datetime, user_ids: Collection[int] | None = None) -> set[int]:
    """Return the ids of users who are locked out of sign-in or verification from some client.

    They may be the target of the attempts rather than their author. Two queries.
    """
    lockouts = Event.objects.filter(
        event=EventName.SESSION_LOCK_OUT,
        at__gt=now - PERIOD,
        target_type=User._meta.label_lower,
    )
    if user_ids is not None:
        lockouts = lockouts.filter(target_id__in=[str(pk) for pk in user_ids])
    target_ids = lockouts.order_by().values_list("target_id", flat=True)
    return {int(pk) for pk in target_ids} | users_locked_out(now=now, user_ids=user_ids)


def group_rows() -> QuerySet[Group]:
    """Return groups with their directory, ``active_members`` and the number of flows that name each."""
    return (
        Group.objects.select_related("scim_group__directory")
        .annotate(
            active_members=Count("user", filter=Q(user__is_active=True), distinct=True),
            requestable=Count("requester_values__condition__flow", distinct=True),
            decidable=Count("decidable_flows", distinct=True),
        )
        .order_by("name")
    )


def live_requests_of(user: User) -> QuerySet[AccessRequest]:
    """Return a user's requests whose access is being granted, is active or is being revoked."""
    return AccessRequest.objects.filter(requester=user, status__in=LIVE)


def has_signed_in_since(user: User, at: datetime) -> bool:
    sign_ins = Event.objects.filter(event=EventName.SESSION_SIGN_IN, actor_id=user.pk)
    return sign_ins.filter(at__gte=at).exists()
