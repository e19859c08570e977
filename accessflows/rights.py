"""Reading what permissions really let one do, for the pages where access is asked for and decided."""

from collections.abc import Mapping

from accessflows.connectors.errors import ConnectorError, TargetUnavailable
from accessflows.connectors.protocol import Connector, Inventory, Target
from accessflows.models import FlowTarget, Integration

MOST_RESOURCES = 30
MOST_PERMISSIONS = 50

# Permission name to resource name to sentences.
Words = dict[str, dict[str, list[str]]]


def read_rights(
    integration: Integration, connector: Connector, target: Target, inventory: Inventory
) -> Words:
    """Ask the target, resource by resource; what flows give comes first. Unreadable ones are left out."""
    given = _given(integration)
    words: Words = {}
    for resource in sorted(inventory.databases, key=lambda name: name not in given)[
        :MOST_RESOURCES
    ]:
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
