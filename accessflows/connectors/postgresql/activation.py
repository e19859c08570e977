"""Making a grant: a login role that cannot log in yet, in one transaction, read back."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from psycopg import errors, sql

from accessflows.connectors.errors import (
    ClockSkew,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.postgresql.connection import Session, broker_session
from accessflows.connectors.postgresql.names import Marker, check_name
from accessflows.connectors.postgresql.permissions import (
    objection_to_name,
    objection_to_roles,
    reachable_roles,
    refuse,
)
from accessflows.connectors.postgresql.requirements import (
    broker_and_grant_question,
    broker_checks,
    grant_checks,
)
from accessflows.connectors.postgresql.roles import Role, lock_question, role_in, role_question
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
_HOLD = sql.SQL("ALTER ROLE {role} CONNECTION LIMIT {limit}")
_SHORTEN = sql.SQL("ALTER ROLE {role} VALID UNTIL {until}")
_BEGIN = sql.SQL("BEGIN")
# The options of a membership have columns of their own since version 16.
_READ_BACK = sql.SQL(
    "SELECT made.*, ARRAY(SELECT jsonb_build_object('name', pg_get_userbyid(m.roleid),"
    "   'admin', m.admin_option, 'inherit', to_jsonb(m)->'inherit_option',"
    "   'may_set', to_jsonb(m)->'set_option')"
    "   FROM pg_auth_members m WHERE m.member = made.oid) AS memberships"
    " FROM ({role}) made"
)


def activate(target: Target, spec: GrantSpec) -> Activation:
    """Create the grant's role, or adopt the one an earlier try has made; no credential yet.

    Two at once, or one again after a lost answer, end with the same role. The deadline of a role
    that is there is never moved to later, and a role that was cut is never revived.
    """
    check_name(spec.resource, "database")
    with broker_session(target) as session:
        session.check_server(spec.system_identifier)
        valid_until = deadline_on(session, spec)
        try:
            activation = _in_one_transaction(session, spec, valid_until)
        except (errors.DuplicateObject, errors.UniqueViolation):
            raise TargetUnavailable(
                f"{spec.role_name} came into being at the same moment. The portal attempts again."
            ) from None
    log.info(
        "grant_activated",
        role=spec.role_name,
        resource=spec.resource,
        already_existed=activation.already_existed,
    )
    return activation


def locate(target: Target, spec: GrantSpec) -> GrantIdentity | None:
    """The role an activation made whose answer was lost, if it bears this grant's marker."""
    with broker_session(target) as session:
        session.check_server(spec.system_identifier)
        role = role_in(session.rows(*role_question(spec.role_name)))
        if role is None:
            return None
        _require_marker(role, spec)
        return GrantIdentity(spec.role_name, role.oid, session.system_identifier)


def deadline_on(session: Session, spec: GrantSpec) -> datetime:
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
    """Whatever is raised on the way closes the connection, and so undoes the transaction."""
    role = _ask_before(session, spec)
    if role is None:
        statements = _creation(session, spec, valid_until)
    else:
        statements = _adoption(session, spec, role, valid_until)
    made = _run_and_read_back(session, spec, statements, valid_until)
    session.connection.execute("COMMIT")
    return Activation(
        identity=GrantIdentity(spec.role_name, made.oid, session.system_identifier),
        server_version=session.version,
        server_time=session.server_time,
        clock_skew=session.clock_skew,
        valid_until=made.valid_until or valid_until,
        already_existed=role is not None,
    )


def _ask_before(session: Session, spec: GrantSpec) -> Role | None:
    """Lock the grant and begin nothing that could not be ended. The role, if it is there already."""
    refuse(objection_to_name(spec.permission))
    _, _, reachable, facts, role = session.ask_all(
        [
            (_BEGIN, None),
            lock_question([spec.role_name]),
            reachable_roles(spec.permission),
            broker_and_grant_question(session, spec.resource, spec.permission),
            role_question(spec.role_name),
        ]
    )
    refuse(objection_to_roles(spec.permission, reachable))
    checks = [
        *broker_checks(session, facts[0]),
        *grant_checks(session, facts[0], spec.resource, spec.permission),
    ]
    refuse(" ".join(check.sentence for check in checks if not check.ok))
    return role_in(role)


def _creation(session: Session, spec: GrantSpec, valid_until: datetime) -> list[sql.Composed]:
    role = sql.Identifier(spec.role_name)
    join = _JOIN_WITH_OPTIONS if session.has_membership_options else _JOIN
    return [
        _CREATE.format(
            role=role,
            limit=sql.Literal(spec.connection_limit),
            until=sql.Literal(valid_until.isoformat()),
        ),
        _COMMENT.format(role=role, marker=sql.Literal(Marker.of(spec).comment())),
        join.format(permission=sql.Identifier(spec.permission), role=role),
    ]


def _adoption(
    session: Session, spec: GrantSpec, role: Role, valid_until: datetime
) -> list[sql.Composed]:
    """A role from an earlier try lives no longer than now approved, and no longer than then.

    Its row is taken first and read again, so that a cut at the same moment is not undone.
    """
    _require_marker(role, spec)
    name = sql.Identifier(spec.role_name)
    hold = _HOLD.format(role=name, limit=sql.Literal(spec.connection_limit))
    held = role_in(session.ask_all([(hold, None), role_question(spec.role_name)])[1])
    if held is None or (held.valid_until and held.valid_until <= session.server_time):
        raise TargetRefused("This grant was already ended on the target. Make a new request.")
    if held.valid_until is not None and held.valid_until <= valid_until:
        return []
    return [_SHORTEN.format(role=name, until=sql.Literal(valid_until.isoformat()))]


def _require_marker(role: Role, spec: GrantSpec) -> None:
    marker = role.marker
    if marker is None or (marker.grant_id, marker.portal_id) != (spec.grant_id, spec.portal_id):
        raise TargetMismatch(
            f"A role named {spec.role_name} exists but was not made for this grant. "
            "It was not touched. Find out who made it and drop it."
        )


def _run_and_read_back(
    session: Session, spec: GrantSpec, statements: Sequence[sql.Composed], valid_until: datetime
) -> Role:
    """What the catalogs say now is what was meant, or the transaction is undone."""
    by_name, values = role_question(spec.role_name)
    *_, rows = session.ask_all(
        [
            *((statement, None) for statement in statements),
            (_READ_BACK.format(role=by_name), values),
        ]
    )
    role = role_in(rows)
    if role is None or role.valid_until is None or role.valid_until > valid_until:
        raise TargetRefused("The target did not keep the grant's deadline. Nothing was made.")
    if role.has_attributes or role.marker is None or role.marker.grant_id != spec.grant_id:
        raise TargetMismatch(f"{spec.role_name} is not as it was made. It was not touched.")
    inherit, may_set = (True, False) if session.has_membership_options else (None, None)
    meant = {"name": spec.permission, "admin": False, "inherit": inherit, "may_set": may_set}
    if rows[0]["memberships"] != [meant]:
        raise TargetMismatch(
            f"{spec.role_name} has other memberships than {spec.permission} alone. Somebody "
            "changed it by hand, so nothing was changed. End this grant."
        )
    return role
