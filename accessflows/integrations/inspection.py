"""RequestDraft a target about itself: what the broker may do there, and what it offers. Stores nothing."""

from dataclasses import dataclass, field

from django.conf import settings

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import Check, Inventory
from accessflows.connectors.registry import connector_for
from accessflows.integrations.rights import Words, read_rights
from accessflows.models import Integration
from apono_portal.core.crypto import encryption

ANOTHER_SERVER = (
    "This is another server than before. Add it as an integration of its own, so that access given "
    "on the old one still ends there."
)


@dataclass(frozen=True)
class Inspection:
    """What a target said about itself. ``inventory`` is None when it could not be read."""

    checks: list[Check]
    inventory: Inventory | None
    words: Words = field(default_factory=dict)

    @property
    def health(self) -> Integration.Health:
        if self.inventory is None:
            return Integration.Health.DOWN
        good = all(check.ok for check in self.checks)
        return Integration.Health.HEALTHY if good else Integration.Health.LIMITED


class Listener:
    """Is told how far a inspect_target is. This one keeps it to itself."""

    def hear(self, *checks: Check) -> None:
        """These were done."""

    def hear_read(self, read: int, to_read: int) -> None:
        """So many of so many resources were looked at for what permissions let one do there."""


def inspect_target(integration: Integration, listener: Listener) -> Inspection:
    """Ask the target, and turn what goes wrong into a red line."""
    try:
        connector, target = connector_for(integration.kind), integration.target()
        checks = connector.preflight(target, portal_id=settings.PORTAL_ID)
        listener.hear(*checks)
        inventory = connector.discover(target)
        if is_another_server(integration, inventory):
            return Inspection(
                [*checks, Check("same_server", ok=False, sentence=ANOTHER_SERVER)], None
            )
        listener.hear(_what_was_found(inventory))
        words = read_rights(integration, connector, target, inventory, listener.hear_read)
        return Inspection(checks, inventory, words)
    except encryption.DecryptionFailed:
        sentence = "The sealed password cannot be opened. Enter the broker's password again."
        return Inspection([Check("broker_password", ok=False, sentence=sentence)], None)
    except ConnectorError as error:
        return Inspection([Check("reachable", ok=False, sentence=error.sentence)], None)


def _what_was_found(inventory: Inventory) -> Check:
    resources, permissions = len(inventory.databases), len(inventory.roles)
    return Check(
        "discovered",
        ok=True,
        sentence=f"Resources found: {resources}. Permissions found: {permissions}.",
    )


def is_another_server(integration: Integration, inventory: Inventory | None) -> bool:
    known = integration.system_identifier
    return bool(known and inventory and inventory.system_identifier != known)
