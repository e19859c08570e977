"""Which connector serves which kind of integration."""

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
    """The connector of a kind. The kind's driver is imported only when it is asked for."""
    try:
        module = import_module(_MODULES[ConnectorKind(kind)])
    except ValueError:
        raise TargetRefused(
            f"There is no connector of the kind {kind!r}. Choose one of: "
            f"{', '.join(known.value for known in ConnectorKind)}."
        ) from None
    connector: Connector = module.connector
    return connector
