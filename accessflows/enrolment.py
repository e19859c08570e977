"""Who needs MFA and has not set it up: where access flows and enrolment meet."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, QuerySet

from accessflows.models import AccessFlow
from mfa.models import Authenticator


def enrolled() -> Exists:
    """Whether a person of the query has set up MFA."""
    return Exists(Authenticator.objects.confirmed().filter(user=OuterRef("pk")))


def asks_for_protected(people: QuerySet[Any]) -> QuerySet[Any]:
    """Return the people whom an active flow that requires MFA names, or a group of theirs.

    Asked of each person of the query, so that a page of fifty does not gather all members of a group.
    """
    protected = AccessFlow.objects.active().requiring_mfa().order_by().values("pk")
    by_person = AccessFlow.requestor_users.through._default_manager
    by_group = AccessFlow.requestor_groups.through._default_manager
    memberships = get_user_model().groups.through._default_manager
    groups = by_group.filter(accessflow__in=protected).values("group")
    named = by_person.filter(user=OuterRef("pk"), accessflow__in=protected)
    member = memberships.filter(user=OuterRef("pk"), group__in=groups)
    return people.filter(Exists(named) | Exists(member))


def in_need_of_mfa(people: QuerySet[Any]) -> QuerySet[Any]:
    """Return the active people who may ask for protected access and have not set up MFA."""
    return asks_for_protected(people.filter(~enrolled(), is_active=True))
