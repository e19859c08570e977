"""Extending active access: `VALID UNTIL` and the marker together, read back."""

from datetime import datetime

import structlog
from psycopg import sql

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql.activation import deadline_on_target
from accessflows.connectors.postgresql.connection import BrokerConnection, connect_as_broker
from accessflows.connectors.postgresql.names import Marker
from accessflows.connectors.postgresql.roles import Role, find_role
from accessflows.connectors.protocol import GrantIdentity, GrantSpec, Target

ROLE_MISSING = "The grant's role no longer exists on the target. Make a new request."

log = structlog.get_logger(__name__)

# Changes nothing but locks the role's row, so that a concurrent containment comes before or after.
_LOCK_ROLE = sql.SQL("ALTER ROLE {role} CONNECTION LIMIT {limit}")
_EXTEND = sql.SQL("ALTER ROLE {role} VALID UNTIL {until}")
_COMMENT = sql.SQL("COMMENT ON ROLE {role} IS {marker}")


def extend(
    target: Target, spec: GrantSpec, identity: GrantIdentity, *, since: datetime | None
) -> datetime:
    """Extend the role to `spec.deadline`, and return the deadline the target enforces.

    `since` is the deadline last known to be enforced: a role that was disabled, or shortened by
    somebody else, is not revived. A deadline that is already as late stays. Idempotent.
    """
    with connect_as_broker(target) as connection:
        connection.check_server(identity.server_id)
        until = deadline_on_target(connection, spec)
        with connection.transaction():
            role = _locked(connection, identity)
            _require_open(connection, role, since)
            if role.valid_until is None or role.valid_until < until:
                _set_deadline(connection, spec, role.name, until)
            enforced = _require_open(connection, find_role(connection, identity), since)
    log.info("grant_extended", role=identity.name)
    return enforced


def _locked(connection: BrokerConnection, identity: GrantIdentity) -> Role:
    role = find_role(connection, identity)
    if role is None:
        raise TargetRefused(ROLE_MISSING)
    limit = sql.Literal(role.connection_limit)
    connection.run([_LOCK_ROLE.format(role=sql.Identifier(role.name), limit=limit)])
    locked = find_role(connection, identity)
    if locked is None:
        raise TargetRefused(ROLE_MISSING)
    return locked


def _require_open(
    connection: BrokerConnection, role: Role | None, since: datetime | None
) -> datetime:
    """Return the deadline of a role that nobody has disabled or shortened."""
    if role is None or role.is_disabled:
        raise TargetRefused("The grant was revoked on the target and can't be extended.")
    if role.valid_until is None:
        raise TargetRefused("This login has no expiry on the target. Set one by hand first.")
    if role.valid_until < (since or connection.server_time):
        raise TargetRefused(
            "The login's expiry was shortened on the target by hand, so it can't be extended."
        )
    return role.valid_until


def _set_deadline(
    connection: BrokerConnection, spec: GrantSpec, name: str, until: datetime
) -> None:
    role = sql.Identifier(name)
    connection.run(
        [
            _EXTEND.format(role=role, until=sql.Literal(until.isoformat())),
            _COMMENT.format(role=role, marker=sql.Literal(Marker.of(spec).comment())),
        ]
    )
