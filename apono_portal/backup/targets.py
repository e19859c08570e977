"""Live logins on the targets that a backup does not know."""

from collections.abc import Container
from dataclasses import dataclass, field

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import ManagedAccount
from accessflows.models import Integration
from requests_app.drift.scan import list_logins, list_unknown_logins, remove_unknown_login


@dataclass
class UnknownLogins:
    """Logins by what became of them, and the targets that could not be asked."""

    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)


def settle_unknown_logins(*, leave: bool) -> UnknownLogins:
    """Contain and remove every login that the restored database does not know, or only list them."""
    result = UnknownLogins()
    for integration in Integration.objects.order_by("name"):
        try:
            for role in list(list_unknown_logins(integration)):
                is_gone = not leave and remove_unknown_login(integration=integration, role=role)
                (result.removed if is_gone else result.left).append(_line(integration, role))
        except ConnectorError as error:
            result.unreachable.append(f"{integration.name}: {error.sentence}")
    return result


def unknown_to_backup(known: Container[str], using: str) -> UnknownLogins:
    """List the logins on the targets of the database in use whose grants a backup does not know."""
    result = UnknownLogins()
    for integration in Integration.objects.using(using).order_by("name"):
        try:
            result.left += [
                _line(integration, role)
                for role in list_logins(integration)
                if str(role.grant_id) not in known
            ]
        except ConnectorError as error:
            result.unreachable.append(f"{integration.name}: {error.sentence}")
    return result


def _line(integration: Integration, role: ManagedAccount) -> str:
    end = f", until {role.deadline:%Y-%m-%d %H:%M} UTC" if role.deadline else ""
    return f"{integration.name}: {role.name}{end}"
