"""Which users can request MFA-protected access without having set up MFA."""

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import OuterRef, Q, QuerySet, Subquery

from accessflows.flows.selectors import requester_sets
from accessflows.models import RequesterCondition
from accessflows.requesters import ConditionSet, meets_any, users_meeting
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
    lookups: dict[str, QuerySet[Any]] = {
        "authenticator": Authenticator.objects.confirmed().order_by(),
        "passkey": Passkey.objects.order_by(),
    }
    matches = {
        name: Subquery(rows.filter(user=OuterRef("pk")).values("pk")[:1])
        for name, rows in lookups.items()
    }
    lacking = users.alias(**matches).filter(
        Q(authenticator__isnull=True, passkey__isnull=True), is_active=True, is_service=False
    )
    return lacking.filter(meets_any(_protected_sets()))


def rare_lacking_required_mfa(users: "QuerySet[User]") -> "QuerySet[User]":
    """Return the same users where they are few among many.

    The slice has PostgreSQL gather those without an authenticator first, and look up only their flows.
    """
    everyone = get_user_model()._default_manager
    active = everyone.filter(not_enrolled_condition(), is_active=True).order_by()
    return lacking_required_mfa(users.filter(pk__in=active.values("pk")[:MAX_USERS]))


def all_lacking_required_mfa(users: "QuerySet[User]") -> "QuerySet[User]":
    """Return the same users gathered set by set, to count them."""
    requesters = users_meeting(_protected_sets()).order_by()
    lacking = users.filter(not_enrolled_condition(), is_service=False)
    return lacking.filter(pk__in=requesters.values("pk"))


def _protected_sets() -> list[ConditionSet]:
    """Return every set of conditions of the active flows that require MFA. One statement."""
    conditions = RequesterCondition.objects.filter(flow__is_active=True, flow__require_mfa=True)
    return [one for sets in requester_sets(conditions).values() for one in sets]
