"""Which users can request MFA-protected access without having set up MFA."""

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import OuterRef, Q, QuerySet, Subquery

from accessflows.models import AccessFlow
from mfa.methods.selectors import not_enrolled_condition
from mfa.models import Authenticator, Passkey

if TYPE_CHECKING:
    from apono_portal.users.models import User


MAX_USERS = 10**9  # more than there are


def lacking_required_mfa(users: "QuerySet[User]") -> "QuerySet[User]":
    """Return the active users who can request protected access and have not set up MFA.

    Service accounts never can.

    Looked up user by user, for a page of them: with EXISTS, PostgreSQL would first gather all members
    of the groups.
    """
    named, members = _requesters_of_protected_flows()
    lookups: dict[str, QuerySet[Any]] = {
        "authenticator": Authenticator.objects.confirmed().order_by(),
        "passkey": Passkey.objects.order_by(),
        "named": named,
        "member": members,
    }
    matches = {
        name: Subquery(rows.filter(user=OuterRef("pk")).values("pk")[:1])
        for name, rows in lookups.items()
    }
    lacking = users.alias(**matches).filter(
        Q(authenticator__isnull=True, passkey__isnull=True), is_active=True, is_service=False
    )
    return lacking.filter(Q(named__isnull=False) | Q(member__isnull=False))


def rare_lacking_required_mfa(users: "QuerySet[User]") -> "QuerySet[User]":
    """Return the same users where they are few among many.

    The slice has PostgreSQL gather those without an authenticator first, and look up only their flows.
    """
    everyone = get_user_model()._default_manager
    active = everyone.filter(not_enrolled_condition(), is_active=True).order_by()
    return lacking_required_mfa(users.filter(pk__in=active.values("pk")[:MAX_USERS]))


def all_lacking_required_mfa(users: "QuerySet[User]") -> "QuerySet[User]":
    """Return the same users gathered set by set, to count them."""
    named, members = _requesters_of_protected_flows()
    requesters = named.values("user").union(members.values("user"), all=True)
    lacking = users.filter(not_enrolled_condition(), is_active=True, is_service=False)
    return lacking.filter(pk__in=requesters)


def _requesters_of_protected_flows() -> tuple[QuerySet[Any], QuerySet[Any]]:
    """Return the rows naming users in active flows that require MFA, and those of group members."""
    flows = AccessFlow.objects.active().requiring_mfa().order_by().values("pk")
    users = AccessFlow.requester_users.through._default_manager
    groups = AccessFlow.requester_groups.through._default_manager
    memberships = get_user_model().groups.through._default_manager
    group_ids = groups.filter(accessflow__in=flows).values("group")
    return users.filter(accessflow__in=flows), memberships.filter(group__in=group_ids)
