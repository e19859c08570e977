"""How many users have set up MFA right now."""

from django.contrib.auth import get_user_model
from django.db.models import Count

from accessflows.flows.mfa_requirement import all_lacking_required_mfa
from mfa.methods.selectors import enrolled_condition
from requests_app.insights.aggregation import Figures

MAX_GROUPS = 8


def coverage_now() -> Figures:
    """Return counts of active users: all, with MFA, requiring MFA without it, and by largest group."""
    users = get_user_model()._default_manager.filter(is_active=True)
    return {
        "users": users.count(),
        "enrolled": users.filter(enrolled_condition()).count(),
        "lacking": all_lacking_required_mfa(users).count(),
        "groups": _groups(),
    }


def _groups() -> list[tuple[str, int, int]]:
    """Return name, active members and members with MFA of the largest groups, by size."""
    memberships = get_user_model().groups.through._default_manager
    active = memberships.filter(user__is_active=True).order_by()
    sizes = active.values("group", "group__name").annotate(size=Count("user"))
    largest = list(sizes.order_by("-size", "group__name")[:MAX_GROUPS])
    enrolled_members = active.filter(
        enrolled_condition("user"), group__in=[row["group"] for row in largest]
    )
    with_mfa = dict(
        enrolled_members.values_list("group").annotate(count=Count("user", distinct=True))
    )
    return [(row["group__name"], row["size"], with_mfa.get(row["group"], 0)) for row in largest]
