"""Making a grant: a login role that cannot log in yet, in one transaction, read back."""

from datetime import UTC, datetime, timedelta

import structlog
from psycopg import errors, sql

from accessflows.connectors.errors import (
    ClockSkew,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.postgresql.names import Marker, check_name
from accessflows.connectors.postgresql.permissions import require_harmless
from accessflows.connectors.postgresql.requirements import broker_checks, grant_checks
from accessflows.connectors.postgresql.roles import Role, find_by_name, lock_grants
from accessflows.connectors.postgresql.session import Session, broker_session
from accessflows.connectors.protocol import Activation, GrantIdentity, GrantSpec, Target

log = structlog.get_logger(__name__)

LARGEST_SKEW = timedelta(seconds=30)

_CREATE = sql.SQL(
    "CREATE ROLE {role} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    " INHERIT CONNECTION LIMIT {limit} PASSWORD NULL VALID UNTIL {until}"
)
_COMMENT = sql.SQL("COMMENT ON ROLE {role} IS {marker}")
_JOIN = sql.SQL("GRANT {permission} TO {role}")
_JOIN_WITH_OPTIONS = sql.SQL(
    "GRANT {permission} TO {role} WITH INHERIT TRUE, SET FALSE, ADMIN FALSE"
)
_MEMBERSHIPS = sql.SQL(
    "SELECT g.rolname AS name, m.admin_option AS admin,"
    " COALESCE((to_jsonb(m)->>'inherit_option')::boolean, true) AS inherit,"
    " COALESCE((to_jsonb(m)->>'set_option')::boolean, true) AS may_set"
    " FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"
    " WHERE m.member = %(oid)s::oid"
)


def activate(target: Target, spec: GrantSpec) -> Activation:
    """Create the grant's role, or adopt the one an earlier try has made; no credential yet.

    Two at once, or one again after a lost answer, end with the same role. The deadline of a role
    that is there is never moved to later, and a role that was cut is never revived.
    """
    check_name(spec.resource, "database")
    with broker_session(target) as session:
        session.check_server(spec.system_identifier)
        valid_until = _deadline(session, spec)
        try:
            activation = _in_one_transaction(session, spec, valid_until)
        except (errors.DuplicateObject, errors.UniqueViolation):
            raise TargetUnavailable(
                f"{spec.role_name} came into being at the same moment. The portal tries again."
            ) from None
    log.info(
        "grant_activated",
        role=spec.role_name,
        resource=spec.resource,
        already_there=activation.already_there,
    )
    return activation


def locate(target: Target, spec: GrantSpec) -> GrantIdentity | None:
    """The role an activation made whose answer was lost, if it bears this grant's marker."""
    with broker_session(target) as session:
        session.check_server(spec.system_identifier)
        role = find_by_name(session, spec.role_name)
        if role is None:
            return None
        _require_marker(role, spec)
        return GrantIdentity(spec.role_name, role.oid, session.system_identifier)


def _deadline(session: Session, spec: GrantSpec) -> datetime:
    """The instant on the target's clock, never later by either clock than what was approved."""
    if abs(session.clock_skew) > LARGEST_SKEW:
        raise ClockSkew(
            f"The target's clock differs from the portal's by "
            f"{abs(session.clock_skew).total_seconds():.0f} s, more than "
            f"{LARGEST_SKEW.total_seconds():.0f} s. Synchronise both clocks (NTP), then try again."
        )
    remaining = spec.deadline - datetime.now(UTC)
    if remaining <= timedelta(0) or spec.deadline <= session.server_time:
        raise TargetRefused("The grant's end has already passed. Make a new request.")
    return min(spec.deadline, session.server_time + remaining).astimezone(UTC)


def _in_one_transaction(session: Session, spec: GrantSpec, valid_until: datetime) -> Activation:
    with session.connection.transaction():
        lock_grants(session, [spec.role_name])
        require_harmless(session, spec.permission)
        _require_rights(session, spec)
        role = find_by_name(session, spec.role_name)
        if role is None:
            _create(session, spec, valid_until)
        else:
            _adopt(session, spec, role, valid_until)
        made = _read_back(session, spec, valid_until)
    return Activation(
        identity=GrantIdentity(spec.role_name, made.oid, session.system_identifier),
        server_version=session.version,
        server_time=session.server_time,
        clock_skew=session.clock_skew,
        valid_until=made.valid_until or valid_until,
        already_there=role is not None,
    )


def _require_rights(session: Session, spec: GrantSpec) -> None:
    """Begin nothing that could not be ended."""
    checks = [
        *broker_checks(session),
        *grant_checks(session, spec.resource, spec.permission),
    ]
    wanting = [check.sentence for check in checks if not check.ok]
    if wanting:
        raise TargetRefused(" ".join(wanting))


def _create(session: Session, spec: GrantSpec, valid_until: datetime) -> None:
    role = sql.Identifier(spec.role_name)
    session.run(
        [
            _CREATE.format(
                role=role,
                limit=sql.Literal(spec.connection_limit),
                until=sql.Literal(valid_until.isoformat()),
            ),
            _COMMENT.format(role=role, marker=sql.Literal(Marker.of(spec).comment())),
            _join(session, spec),
        ]
    )


def _join(session: Session, spec: GrantSpec) -> sql.Composed:
    join = _JOIN_WITH_OPTIONS if session.has_membership_options else _JOIN
    return join.format(
        permission=sql.Identifier(spec.permission), role=sql.Identifier(spec.role_name)
    )


def _adopt(session: Session, spec: GrantSpec, role: Role, valid_until: datetime) -> None:
    """Ours from an earlier try: at most shorten its life. Its membership is checked after."""
    _require_marker(role, spec)
    if role.valid_until is not None and role.valid_until <= session.server_time:
        raise TargetRefused("This grant was already ended on the target. Make a new request.")
    if role.valid_until is None or role.valid_until > valid_until:
        session.run(
            [
                sql.SQL("ALTER ROLE {role} VALID UNTIL {until}").format(
                    role=sql.Identifier(spec.role_name),
                    until=sql.Literal(valid_until.isoformat()),
                )
            ]
        )


def _require_marker(role: Role, spec: GrantSpec) -> None:
    marker = role.marker
    if marker is None or (marker.grant_id, marker.portal_id) != (spec.grant_id, spec.portal_id):
        raise TargetMismatch(
            f"A role named {spec.role_name} exists but was not made for this grant. "
            "It was not touched. Find out who made it and drop it."
        )


def _read_back(session: Session, spec: GrantSpec, valid_until: datetime) -> Role:
    """What the catalogs say now is what was meant, or the transaction is undone."""
    role = find_by_name(session, spec.role_name)
    if role is None or role.valid_until is None or role.valid_until > valid_until:
        raise TargetRefused("The target did not keep the grant's deadline. Nothing was made.")
    if role.has_attributes or role.marker is None or role.marker.grant_id != spec.grant_id:
        raise TargetMismatch(f"{spec.role_name} is not as it was made. It was not touched.")
    memberships = [
        (row["name"], row["admin"], row["inherit"], row["may_set"])
        for row in session.rows(_MEMBERSHIPS, {"oid": role.oid})
    ]
    may_set = not session.has_membership_options
    if memberships != [(spec.permission, False, True, may_set)]:
        raise TargetMismatch(
            f"{spec.role_name} has other memberships than {spec.permission} alone. Somebody "
            "changed it by hand, so nothing was changed. End this grant."
        )
    return role
