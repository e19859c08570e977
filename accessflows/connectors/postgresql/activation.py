"""Activating a grant: a login role that cannot sign in yet, created in one transaction and read back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog
from psycopg import errors, sql

from accessflows.connectors.errors import (
    ClockSkew,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.postgresql.capacity import (
    capacity_query,
    capacity_refusal,
    lock_capacity_query,
)
from accessflows.connectors.postgresql.connection import BrokerConnection, connect_as_broker
from accessflows.connectors.postgresql.errors import WILL_RETRY
from accessflows.connectors.postgresql.names import Marker, check_name
from accessflows.connectors.postgresql.permission_state import (
    permission_state,
    reading,
)
from accessflows.connectors.postgresql.permissions import (
    name_refusal,
    raise_if_refused,
    reachable_roles,
    roles_refusal,
)
from accessflows.connectors.postgresql.requirements import (
    broker_and_grant_query,
    broker_checks,
    grant_checks,
)
from accessflows.connectors.postgresql.roles import (
    Role,
    identity_of,
    lock_query,
    role_from,
    role_query,
)
from accessflows.connectors.protocol import (
    Activation,
    GrantIdentity,
    GrantSpec,
    PermissionState,
    Target,
)

log = structlog.get_logger(__name__)

MAX_CLOCK_SKEW = timedelta(seconds=30)

_CREATE = sql.SQL(
    "CREATE ROLE {role} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    " INHERIT CONNECTION LIMIT {limit} PASSWORD NULL VALID UNTIL {until}"
)
_COMMENT = sql.SQL("COMMENT ON ROLE {role} IS {marker}")
_GRANT = sql.SQL("GRANT {permission} TO {role}")
_GRANT_WITH_OPTIONS = sql.SQL(
    "GRANT {permission} TO {role} WITH INHERIT TRUE, SET FALSE, ADMIN FALSE"
)
_LOCK_ROLE = sql.SQL("ALTER ROLE {role} CONNECTION LIMIT {limit}")
_SHORTEN = sql.SQL("ALTER ROLE {role} VALID UNTIL {until}")
_BEGIN = sql.SQL("BEGIN")
# Membership options have their own columns since version 16.
_READ_BACK = sql.SQL(
    "SELECT made.*, ARRAY(SELECT jsonb_build_object('name', pg_get_userbyid(m.roleid),"
    "   'admin', m.admin_option, 'inherit', to_jsonb(m)->'inherit_option',"
    "   'may_set', to_jsonb(m)->'set_option')"
    "   FROM pg_auth_members m WHERE m.member = made.oid) AS memberships"
    " FROM ({role}) made"
)


def activate(target: Target, spec: GrantSpec) -> Activation:
    """Create the grant's role, or adopt the one an earlier attempt created; no credential yet.

    Concurrent and repeated calls end with the same role. The deadline of an existing role is never
    extended, and a disabled role is never revived.
    """
    check_name(spec.resource, "database")
    with connect_as_broker(target) as connection:
        connection.check_server(spec.server_id)
        valid_until = deadline_on_target(connection, spec)
        state = _state_before(connection, spec)
        try:
            activation = _in_one_transaction(connection, spec, valid_until)
        except (errors.DuplicateObject, errors.UniqueViolation):
            raise TargetUnavailable(
                f"{spec.login} was created by another process at the same time. {WILL_RETRY}"
            ) from None
    log.info(
        "grant_activated",
        role=spec.login,
        resource=spec.resource,
        already_existed=activation.already_existed,
    )
    return replace(activation, permission_state=state)


def _state_before(connection: BrokerConnection, spec: GrantSpec) -> PermissionState:
    """Return what the permission's role has given to others, for the comparison at the end.

    It is read before anybody can use the grant, also when an earlier attempt created it. A full target
    refuses first: reading takes a connection to each database.
    """
    raise_if_refused(name_refusal(spec.permission))
    capacity = connection.row(*capacity_query(spec.login))
    raise_if_refused(capacity_refusal(capacity, spec.connection_limit))
    reachable = connection.rows(*reachable_roles(spec.permission))
    raise_if_refused(roles_refusal(spec.permission, reachable))
    with reading(connection.target):
        return permission_state(connection, spec.permission, allow_delegation=spec.allow_delegation)


def locate(target: Target, spec: GrantSpec) -> GrantIdentity | None:
    """Find the role of an activation whose answer was lost, if it has this grant's marker."""
    with connect_as_broker(target) as connection:
        connection.check_server(spec.server_id)
        role = role_from(connection.rows(*role_query(spec.login)))
        if role is None:
            return None
        _require_marker(role, spec)
        return identity_of(spec.login, role.oid, connection.system_identifier)


def deadline_on_target(connection: BrokerConnection, spec: GrantSpec) -> datetime:
    """Return the deadline by the target's clock, by neither clock later than what was approved."""
    if abs(connection.clock_skew) > MAX_CLOCK_SKEW:
        raise ClockSkew(
            f"The target's clock differs from the portal's by "
            f"{abs(connection.clock_skew).total_seconds():.0f} s, more than "
            f"{MAX_CLOCK_SKEW.total_seconds():.0f} s. Synchronize both clocks (NTP), then try again."
        )
    remaining = spec.deadline - datetime.now(UTC)
    if remaining <= timedelta(0) or spec.deadline <= connection.server_time:
        raise TargetRefused("This grant has already expired. Make a new request.")
    return min(spec.deadline, connection.server_time + remaining).astimezone(UTC)


def _in_one_transaction(
    connection: BrokerConnection, spec: GrantSpec, valid_until: datetime
) -> Activation:
    """Anything raised on the way closes the connection, which rolls the transaction back."""
    role = _check_preconditions(connection, spec)
    if role is None:
        statements = _creation(connection, spec, valid_until)
    else:
        statements = _adoption(connection, spec, role, valid_until)
    created = _run_and_read_back(connection, spec, statements, valid_until)
    connection.execute("COMMIT")
    return Activation(
        identity=identity_of(spec.login, created.oid, connection.system_identifier),
        server_version=str(connection.version // 10000),
        server_time=connection.server_time,
        clock_skew=connection.clock_skew,
        valid_until=created.valid_until or valid_until,
        already_existed=role is not None,
    )


def _check_preconditions(connection: BrokerConnection, spec: GrantSpec) -> Role | None:
    """Lock the grant and refuse what could not be revoked later. Return the role if it exists."""
    _, _, reachable, facts, role, _, capacity = connection.pipeline(
        [
            (_BEGIN, None),
            lock_query([spec.login]),
            reachable_roles(spec.permission),
            broker_and_grant_query(connection, spec.resource, spec.permission),
            role_query(spec.login),
            lock_capacity_query(),
            capacity_query(spec.login),
        ]
    )
    raise_if_refused(roles_refusal(spec.permission, reachable))
    checks = [
        *broker_checks(connection, facts[0]),
        *grant_checks(connection, facts[0], spec.resource, spec.permission),
    ]
    raise_if_refused(" ".join(check.sentence for check in checks if not check.ok))
    raise_if_refused(capacity_refusal(capacity[0], spec.connection_limit))
    return role_from(role)


def _creation(
    connection: BrokerConnection, spec: GrantSpec, valid_until: datetime
) -> list[sql.Composed]:
    role = sql.Identifier(spec.login)
    grant = _GRANT_WITH_OPTIONS if connection.has_membership_options else _GRANT
    return [
        _CREATE.format(
            role=role,
            limit=sql.Literal(spec.connection_limit),
            until=sql.Literal(valid_until.isoformat()),
        ),
        _COMMENT.format(role=role, marker=sql.Literal(Marker.of(spec).comment())),
        grant.format(permission=sql.Identifier(spec.permission), role=role),
    ]


def _adoption(
    connection: BrokerConnection, spec: GrantSpec, role: Role, valid_until: datetime
) -> list[sql.Composed]:
    """A role from an earlier attempt expires no later than approved now, and no later than then.

    Its row is locked first and read again, so that a concurrent containment is not undone.
    """
    _require_marker(role, spec)
    name = sql.Identifier(spec.login)
    lock = _LOCK_ROLE.format(role=name, limit=sql.Literal(spec.connection_limit))
    locked = role_from(connection.pipeline([(lock, None), role_query(spec.login)])[1])
    if locked is None or (locked.valid_until and locked.valid_until <= connection.server_time):
        raise TargetRefused("This grant was already revoked on the target. Make a new request.")
    if locked.marker and locked.marker.deadline > spec.deadline:  # by a worker suspended meanwhile
        raise TargetRefused("This grant was activated and extended meanwhile. Nothing was changed.")
    if locked.valid_until is not None and locked.valid_until <= valid_until:
        return []
    return [_SHORTEN.format(role=name, until=sql.Literal(valid_until.isoformat()))]


def _require_marker(role: Role, spec: GrantSpec) -> None:
    marker = role.marker
    if marker is None or (marker.grant_id, marker.portal_id) != (spec.grant_id, spec.portal_id):
        raise TargetMismatch(
            f"A role named {spec.login} exists but was not created for this grant. "
            "It was not touched. Find out who created it and drop it."
        )


def _run_and_read_back(
    connection: BrokerConnection,
    spec: GrantSpec,
    statements: Sequence[sql.Composed],
    valid_until: datetime,
) -> Role:
    """Require the catalogs to show exactly what was intended, else roll back."""
    by_name, values = role_query(spec.login)
    *_, rows = connection.pipeline(
        [
            *((statement, None) for statement in statements),
            (_READ_BACK.format(role=by_name), values),
        ]
    )
    role = role_from(rows)
    if role is None or role.valid_until is None or role.valid_until > valid_until:
        raise TargetRefused("The target did not keep the grant's deadline. Nothing was created.")
    if role.has_attributes or role.marker is None or role.marker.grant_id != spec.grant_id:
        raise TargetMismatch(f"{spec.login} was changed by hand. It was not touched.")
    inherit, may_set = (True, False) if connection.has_membership_options else (None, None)
    expected = {"name": spec.permission, "admin": False, "inherit": inherit, "may_set": may_set}
    if rows[0]["memberships"] != [expected]:
        raise TargetMismatch(
            f"{spec.login} has memberships other than {spec.permission}, granted by hand. "
            "Nothing was changed. Revoke this grant."
        )
    return role
