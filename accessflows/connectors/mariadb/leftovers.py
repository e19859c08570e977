"""What a login left on a server, as far as that can be seen."""

from collections.abc import Iterator, Sequence

from accessflows.connectors.mariadb.connection import Broker
from accessflows.connectors.protocol import OwnedObject

_DEFINED = (
    "SELECT db AS `schema`, LOWER(type) AS kind, name FROM mysql.proc WHERE definer LIKE %s"
    " UNION ALL SELECT db, 'event', name FROM mysql.event WHERE definer LIKE %s ORDER BY 1, 2, 3"
)
NOT_VISIBLE = "Tables, views and triggers are not visible"


def objects_defined_by(broker: Broker, name: str) -> Iterator[OwnedObject]:
    """Yield the routines and events that name the login as their definer."""
    pattern = name.replace("_", r"\_") + "@%"
    for row in broker.rows(_DEFINED, (pattern, pattern)):
        yield OwnedObject(row["schema"], row["kind"], row["name"])


def note(broker: Broker, left: Sequence[OwnedObject]) -> str:
    """Say what was looked at, and what cannot be seen. Prepared transactions carry no owner."""
    names = ", ".join(f"{item.kind} {item.database}.{item.name}" for item in left)
    listed = f"They can't run without their definer: {names}" if left else "No routine or event"
    prepared = len(broker.rows("XA RECOVER"))
    transactions = (
        f". Prepared XA transactions on the server, of anybody: {prepared}" if prepared else ""
    )
    return f"{listed}. {NOT_VISIBLE}{transactions}"
