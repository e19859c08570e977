"""How many people have set up MFA, at this moment."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count

from accessflows.flows.mfa_requirement import all_lacking_required_mfa, enrolled

MOST_GROUPS = 8


def coverage_now() -> dict[str, Any]:
    """Return active people, how many have MFA, the largest groups, and who needs MFA and lacks it."""
    people = get_user_model()._default_manager.filter(is_active=True)
    return {
        "people": people.count(),
        "enrolled": people.filter(enrolled()).count(),
        "in_need": all_lacking_required_mfa(people).count(),
        "groups": _groups(),
    }


def _groups() -> list[tuple[str, int, int]]:
    """Return name, active members and members with MFA of the largest groups, by size."""
    people = get_user_model()
    members = people.groups.through._default_manager.filter(user__is_active=True).order_by()
    sizes = members.values_list("group", "group__name").annotate(n=Count("user"))
    largest = list(sizes.order_by("-n", "group__name")[:MOST_GROUPS])  # type: ignore[misc]
    with_mfa = members.filter(
        group__in=[pk for pk, _, _ in largest], user__totpdevice__confirmed=True
    )
    enrolled_in = dict(with_mfa.values_list("group").annotate(n=Count("user", distinct=True)))
    return [(name, size, enrolled_in.get(pk, 0)) for pk, name, size in largest]
