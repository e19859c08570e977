"""The connector of each kind of integration."""

from enum import StrEnum
from importlib import import_module

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.protocol import Connector


class ConnectorKind(StrEnum):
    POSTGRESQL = "postgresql"
    WEBHOOK = "webhook"


_MODULES = {
    ConnectorKind.POSTGRESQL: "accessflows.connectors.postgresql",
    ConnectorKind.WEBHOOK: "accessflows.connectors.webhook",
}


def connector_for(kind: str) -> Connector:
    """Return the connector of a kind. Its driver is imported on first use."""
    try:
        module = import_module(_MODULES[ConnectorKind(kind)])
    except ValueError:
        kinds = ", ".join(ConnectorKind)
        raise TargetRefused(
            f"There is no connector of kind {kind!r}. Choose one of: {kinds}."
        ) from None
    connector: Connector = module.connector
    return connector
