"""The choices in the form of a flow."""

from django.db.models import QuerySet

from accessflows.flows.validation import Pair, pair_error
from accessflows.models import AccessFlow, FlowTarget, Permission, Resource


def target_choices(flow: AccessFlow | None) -> list[tuple[str, str]]:
    """Return ("resource id:permission id", "integration / resource · permission"), sorted by label.

    Targets the flow has now stay in the list when they are no longer available, and say so.
    """
    choices = {
        (resource.pk, permission.pk): f"{resource.integration} / {resource} · {permission}"
        for resource, permission in _grantable_pairs()
    }
    for target in _targets_of(flow):
        pair = (target.resource_id, target.permission_id)
        if pair not in choices:
            choices[pair] = f"{target.label} (no longer available)"
    ordered = sorted(choices.items(), key=lambda item: item[1].casefold())
    return [(format_pair(pair), label) for pair, label in ordered]


def _grantable_pairs() -> list[tuple[Resource, Permission]]:
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


def format_pair(pair: Pair) -> str:
    return f"{pair[0]}:{pair[1]}"


def parse_pair(text: str) -> Pair:
    resource, _, permission = text.partition(":")
    return int(resource), int(permission)
