"""Inspecting a target: what the broker may do there, and what it offers. Stores nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.conf import settings

from accessflows.connectors.errors import ConnectorError, TargetUnavailable
from accessflows.connectors.protocol import Check, Connector, Inventory, Target
from accessflows.connectors.registry import connector_for
from accessflows.models import FlowTarget, Integration
from apono_portal.core.crypto import encryption

MAX_RESOURCES = 30
MAX_PERMISSIONS = 50
DIFFERENT_SERVER = (
    "This is a different server. Add it as a new integration, so that access granted on the old one "
    "is still revoked there."
)

# Sentences on what a permission allows, by permission and resource.
Rights = dict[str, dict[str, list[str]]]


@dataclass(frozen=True)
class Inspection:
    """The result of inspecting a target. ``inventory`` is None when it could not be read."""

    checks: list[Check]
    inventory: Inventory | None
    rights: Rights = field(default_factory=dict)

    @property
    def health(self) -> Integration.Health:
        if self.inventory is None:
            return Integration.Health.DOWN
        passed = all(check.ok for check in self.checks)
        return Integration.Health.HEALTHY if passed else Integration.Health.LIMITED


class ProgressListener:
    """Receives the progress of an inspection. This one ignores it."""

    def report(self, *checks: Check) -> None:
        """Receive completed checks."""

    def report_read(self, read: int, to_read: int) -> None:
        """Receive how many of how many resources have been read for rights."""


def inspect_target(integration: Integration, listener: ProgressListener) -> Inspection:
    """Inspect a target, and turn failures into failed checks."""
    checks: list[Check] = []
    try:
        connector, target = connector_for(integration.kind), integration.target()
        checks = connector.preflight(target, portal_id=settings.PORTAL_ID)
        listener.report(*checks)
        inventory = connector.discover(target)
        if is_different_server(integration, inventory):
            return Inspection([*checks, Check.failed("same_server", DIFFERENT_SERVER)], None)
        listener.report(_discovered(inventory))
        rights = _read_rights(integration, connector, target, inventory, listener)
        return Inspection(checks, inventory, rights)
    except encryption.DecryptionFailed:
        sentence = "The credential can't be decrypted. Enter it again."
        return Inspection([Check.failed("credential", sentence)], None)
    except ConnectorError as error:
        failed = [check for check in checks if not check.ok]
        known = any(check.sentence == error.sentence for check in failed)
        return Inspection(
            checks if known else [*checks, Check.failed("reachable", error.sentence)], None
        )


def is_different_server(integration: Integration, inventory: Inventory | None) -> bool:
    expected = integration.system_identifier
    return bool(expected and inventory and inventory.server_id != expected)


def _discovered(inventory: Inventory) -> Check:
    resources, permissions = len(inventory.resources), len(inventory.permissions)
    return Check.passed(
        "discovered", f"Resources found: {resources}. Permissions found: {permissions}."
    )


def _read_rights(
    integration: Integration,
    connector: Connector,
    target: Target,
    inventory: Inventory,
    listener: ProgressListener,
) -> Rights:
    """Read what permissions allow, resource by resource, those that flows grant first.

    Resources that cannot be read are left out.
    """
    granted = _granted_by_flows(integration)
    rights: Rights = {}
    resources = sorted(inventory.resources, key=lambda name: name not in granted)[:MAX_RESOURCES]
    for number, resource in enumerate(resources):
        listener.report_read(number, len(resources))
        roles = [
            role.name
            for role in inventory.permissions
            if not role.refusal and resource in role.resources
        ]
        roles.sort(key=lambda name: name not in granted.get(resource, ()))
        if not roles:
            continue
        try:
            sentences = connector.describe_rights(target, resource, roles[:MAX_PERMISSIONS])
        except TargetUnavailable:
            break
        except ConnectorError:
            continue
        for permission in sentences:
            rights.setdefault(permission, {})[resource] = sentences[permission]
    return rights


def _granted_by_flows(integration: Integration) -> Mapping[str, set[str]]:
    pairs = FlowTarget.objects.filter(resource__integration=integration)
    permissions: dict[str, set[str]] = {}
    for resource, permission in pairs.values_list("resource__name", "permission__name"):
        permissions.setdefault(resource, set()).add(permission)
    return permissions
