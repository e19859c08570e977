"""What an admin can choose in the form of a flow."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from accessflows.flows.validation import pair_error
from accessflows.models import AccessFlow, FlowTarget, Permission, Resource

Pair = tuple[int, int]


def target_choices(flow: AccessFlow | None) -> list[tuple[str, str]]:
    """Return ("resource id:permission id", "integration / resource · permission") in reading order.

    What the flow has now stays in the list although it cannot be given any more, and says so.
    """
    choices = {
        (resource.pk, permission.pk): f"{resource.integration} / {resource} · {permission}"
        for resource, permission in _offered()
    }
    for target in _targets_of(flow):
        pair = (target.resource_id, target.permission_id)
        if pair not in choices:
            choices[pair] = f"{target.label} (cannot be given any more)"
    in_order = sorted(choices.items(), key=lambda item: item[1].casefold())
    return [(format_pair(pair), label) for pair, label in in_order]


def _offered() -> list[tuple[Resource, Permission]]:
    resources = Resource.objects.present().filter(integration__is_active=True)
    permissions: dict[int, list[Permission]] = {}
    for permission in Permission.objects.present():
        permissions.setdefault(permission.integration_id, []).append(permission)
    return [
        (resource, permission)
        for resource in resources.select_related("integration")
        for permission in permissions.get(resource.integration_id, [])
        if not pair_error(resource, permission)
    ]


def _targets_of(flow: AccessFlow | None) -> QuerySet[FlowTarget]:
    targets = FlowTarget.objects.filter(flow=flow) if flow else FlowTarget.objects.none()
    return targets.select_related("resource__integration", "permission")


def people_choices(flow: AccessFlow | None, role: str) -> QuerySet[Any]:
    """Return active people, and whoever the flow names now as ``requestable`` or ``decidable``."""
    people: QuerySet[Any] = get_user_model()._default_manager.all()
    wanted = Q(is_active=True)
    if flow:
        wanted |= Q(**{f"{role}_flows": flow})
    return people.filter(wanted).distinct().order_by("name", "email")


def format_pair(pair: Pair) -> str:
    return f"{pair[0]}:{pair[1]}"


def parse_pair(text: str) -> Pair:
    resource, _, permission = text.partition(":")
    return int(resource), int(permission)
