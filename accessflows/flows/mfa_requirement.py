"""Who needs MFA and has not set it up: where access flows and enrolment meet."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from accessflows.models import AccessFlow
from mfa.models import Authenticator


def enrolled() -> Exists:
    """Whether a person of the query has set up MFA."""
    return Exists(Authenticator.objects.confirmed().filter(user=OuterRef("pk")))


def lacking_required_mfa(people: QuerySet[Any]) -> QuerySet[Any]:
    """Return the active people who may ask for protected access and have not set up MFA.

    Asked of one person after the other, for a page of them. As a condition that something exists the
    planner would gather all members of the groups first.
    """
    devices = Authenticator.objects.confirmed().filter(user=OuterRef("pk")).order_by()
    named, members = _protected()
    asked = {
        "device": devices,
        "named": named.filter(user=OuterRef("pk")),
        "member": members.filter(user=OuterRef("pk")),
    }
    looked_up = {name: Subquery(rows.values("pk")[:1]) for name, rows in asked.items()}
    lacking = people.alias(**looked_up).filter(is_active=True, device=None)
    found: QuerySet[Any] = lacking.filter(Q(named__isnull=False) | Q(member__isnull=False))
    return found


def all_lacking_required_mfa(people: QuerySet[Any]) -> QuerySet[Any]:
    """The same people, gathered, to be counted."""
    named, members = _protected()
    draft = named.values("user").union(members.values("user"), all=True)
    return people.filter(~enrolled(), is_active=True, pk__in=draft)


def _protected() -> tuple[QuerySet[Any], QuerySet[Any]]:
    """People named by active flows that require MFA, and members of groups that are."""
    flows = AccessFlow.objects.active().requiring_mfa().order_by().values("pk")
    by_person: Any = AccessFlow.requester_users.through
    by_group: Any = AccessFlow.requester_groups.through
    memberships: Any = get_user_model().groups.through
    groups = by_group.objects.filter(accessflow__in=flows).values("group")
    return (
        by_person.objects.filter(accessflow__in=flows),
        memberships.objects.filter(group__in=groups),
    )
