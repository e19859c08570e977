"""Moving the end of open access to later: `VALID UNTIL` and the marker together, read back."""

from datetime import datetime

import structlog
from psycopg import sql

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql.activation import deadline_on
from accessflows.connectors.postgresql.connection import Session, broker_session
from accessflows.connectors.postgresql.names import Marker
from accessflows.connectors.postgresql.roles import Role, require_ours
from accessflows.connectors.protocol import GrantIdentity, GrantSpec, Target

log = structlog.get_logger(__name__)

# Changes nothing but takes the role's row, so that a cut at the same moment comes before or after.
_HOLD = sql.SQL("ALTER ROLE {role} CONNECTION LIMIT {limit}")
_PROLONG = sql.SQL("ALTER ROLE {role} VALID UNTIL {until}")
_COMMENT = sql.SQL("COMMENT ON ROLE {role} IS {marker}")


def extend(
    target: Target, spec: GrantSpec, identity: GrantIdentity, *, since: datetime | None
) -> datetime:
    """Have the target let the grantee in until `spec.deadline`. Returns what it enforces then.

    `since` is the end the target was last known to enforce: a role that was cut, or shortened by
    somebody else, is not revived. An end that is as late already stays. Twice is as once.
    """
    with broker_session(target) as session:
        session.check_server(identity.system_identifier)
        until = deadline_on(session, spec)
        with session.connection.transaction():
            role = _hold(session, identity)
            _require_open(session, role, since)
            if role.valid_until is None or role.valid_until < until:
                _prolong(session, spec, role.name, until)
            enforced = _require_open(session, require_ours(session, identity), since)
    log.info("grant_extended", role=identity.role_name)
    return enforced


def _hold(session: Session, identity: GrantIdentity) -> Role:
    role = require_ours(session, identity)
    if role is None:
        raise TargetRefused("The grant's role is gone from the target. Make a new request.")
    limit = sql.Literal(role.connection_limit)
    session.run([_HOLD.format(role=sql.Identifier(role.name), limit=limit)])
    held = require_ours(session, identity)
    if held is None:
        raise TargetRefused("The grant's role is gone from the target. Make a new request.")
    return held


def _require_open(session: Session, role: Role | None, since: datetime | None) -> datetime:
    """Return the end of a role that nobody has cut or shortened."""
    if role is None or role.is_cut:
        raise TargetRefused("The grant has ended on the target, so it is not extended.")
    if role.valid_until is None:
        raise TargetRefused("The target knows no end of this login. Have it set by hand first.")
    if role.valid_until < (since or session.server_time):
        raise TargetRefused(
            "Somebody shortened this login on the target, so the portal does not extend it."
        )
    return role.valid_until


def _prolong(session: Session, spec: GrantSpec, name: str, until: datetime) -> None:
    role = sql.Identifier(name)
    session.run(
        [
            _PROLONG.format(role=role, until=sql.Literal(until.isoformat())),
            _COMMENT.format(role=role, marker=sql.Literal(Marker.of(spec).comment())),
        ]
    )
