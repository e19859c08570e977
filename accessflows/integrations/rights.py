"""Reading what permissions really let one do, for the pages where access is asked for and decided."""

from collections.abc import Callable, Mapping

from accessflows.connectors.errors import ConnectorError, TargetUnavailable
from accessflows.connectors.protocol import Connector, Inventory, Target
from accessflows.models import FlowTarget, Integration

MOST_RESOURCES = 30
MOST_PERMISSIONS = 50

# Permission name to resource name to sentences.
Words = dict[str, dict[str, list[str]]]


def read_rights(
    integration: Integration,
    connector: Connector,
    target: Target,
    inventory: Inventory,
    hear_read: Callable[[int, int], None],
) -> Words:
    """Ask the target, resource by resource; what flows give comes first. Unreadable ones are left out.

    ``hear_read`` is told, before each, how many were looked at and how many will be.
    """
    given = _given(integration)
    words: Words = {}
    resources = sorted(inventory.databases, key=lambda name: name not in given)[:MOST_RESOURCES]
    for number, resource in enumerate(resources):
        hear_read(number, len(resources))
        here = [
            role.name for role in inventory.roles if not role.refusal and resource in role.databases
        ]
        here.sort(key=lambda name: name not in given.get(resource, ()))
        if not here:
            continue
        try:
            found = connector.describe_rights(target, resource, here[:MOST_PERMISSIONS])
        except TargetUnavailable:
            break
        except ConnectorError:
            continue
        for permission, sentences in found.items():
            words.setdefault(permission, {})[resource] = sentences
    return words


def _given(integration: Integration) -> Mapping[str, set[str]]:
    pairs = FlowTarget.objects.filter(resource__integration=integration)
    given: dict[str, set[str]] = {}
    for resource, permission in pairs.values_list("resource__name", "permission__name"):
        given.setdefault(resource, set()).add(permission)
    return given
