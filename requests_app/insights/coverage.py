"""How many people have set up MFA, at this moment."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import Count, Q

from accessflows.enrolment import enrolled, in_need_of_mfa
from mfa.models import Authenticator

MOST_GROUPS = 8


def coverage_now() -> dict[str, Any]:
    """Return active people, how many have MFA, the largest groups, and who needs MFA and lacks it."""
    people = get_user_model()._default_manager.filter(is_active=True)
    return {
        "people": people.count(),
        "enrolled": people.filter(enrolled()).count(),
        "in_need": in_need_of_mfa(people).count(),
        "groups": _groups(),
    }


def _groups() -> list[tuple[str, int, int]]:
    """Return name, active members and members with MFA of the largest groups, by size."""
    active = Q(user__is_active=True)
    with_mfa = Authenticator.objects.confirmed().values("user")
    groups = Group.objects.annotate(
        members=Count("user", filter=active),
        with_mfa=Count("user", filter=active & Q(user__in=with_mfa)),
    )
    largest = groups.filter(members__gt=0).order_by("-members", "name")[:MOST_GROUPS]
    return [(group.name, group.members, group.with_mfa) for group in largest]
