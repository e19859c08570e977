"""The kinds of connectors: the portal's own, and those of installed packages."""

from functools import cache
from importlib.metadata import entry_points
from pkgutil import resolve_name

import structlog

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.kinds import ConnectorKind
from accessflows.connectors.protocol import Connector

log = structlog.get_logger(__name__)

POSTGRESQL = "postgresql"
MARIADB = "mariadb"
VALKEY = "valkey"
LINUX = "linux"
WEBHOOK = "webhook"
ENTRY_POINTS = "apono_portal.connectors"
MAX_NAME_LENGTH = 32

BUILT_IN = (POSTGRESQL, MARIADB, VALKEY, LINUX, WEBHOOK)


@cache
def kinds() -> dict[str, ConnectorKind]:
    """Return all kinds by name: the portal's own first, then those of installed packages.

    A package that cannot be loaded is logged and left out, and none replaces one of the portal's own.
    """
    kinds: dict[str, ConnectorKind] = {}
    for name in BUILT_IN:
        kinds[name] = resolve_name(f"accessflows.connectors.{name}:kind")
    for entry_point in sorted(entry_points(group=ENTRY_POINTS), key=lambda one: one.name):
        try:
            kind = entry_point.load()
        except Exception as error:  # noqa: BLE001 - somebody else's code
            log.error("connector_not_loaded", kind=entry_point.name, error=type(error).__name__)
            continue
        if not isinstance(kind, ConnectorKind) or not 0 < len(kind.name) <= MAX_NAME_LENGTH:
            log.error("connector_not_loaded", kind=entry_point.name, error="not a ConnectorKind")
        else:
            kinds.setdefault(kind.name, kind)
    return kinds


def find_kind(name: str) -> ConnectorKind | None:
    return kinds().get(name)


def kind_named(name: str) -> ConnectorKind:
    """Return a kind. Raises TargetRefused if there is none of this name."""
    kind = find_kind(name)
    if kind is None:
        names = ", ".join(kinds())
        raise TargetRefused(
            f"There is no connector of kind {name!r}. Install its package, or choose one of: {names}."
        )
    return kind


def connector_for(name: str) -> Connector:
    """Return the connector of a kind. Its driver is imported on first use."""
    return kind_named(name).load()
