"""Everything that should hold on a target, as green and red lines with the SQL that mends the red."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace

import psycopg
from psycopg import sql

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.postgresql import setup_sql
from accessflows.connectors.postgresql.activation import LARGEST_SKEW
from accessflows.connectors.postgresql.connection import Session, broker_session, conninfo_for
from accessflows.connectors.postgresql.discovery import discover, rights_here
from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE
from accessflows.connectors.postgresql.permissions import why_not
from accessflows.connectors.postgresql.requirements import (
    admin_check,
    broker_checks,
    broker_question,
)
from accessflows.connectors.postgresql.roles import marked_roles
from accessflows.connectors.protocol import ROLE_PREFIX, Check, Target

_LOOPBACK = ("127.", "::1", "localhost", "/")
_LONGEST_REMEDY = 100  # lines of SQL
_LASTING = {"OWNER", "TRIGGER"}

_SERVER = sql.SQL(
    "SELECT rolsuper AS superuser, current_setting('max_prepared_transactions')::int AS prepared"
    " FROM pg_roles WHERE rolname = current_user"
)
# As ALTER ROLE and DROP ROLE judge it; before version 16 CREATEROLE is enough for every role.
# pg_has_role() for each would go through all that the broker may administer each time.
_UNDER_CONTROL = sql.SQL(
    "WITH RECURSIVE held AS ("
    "  SELECT oid, rolsuper FROM pg_roles WHERE rolname = current_user"
    "  UNION SELECT m.roleid, false FROM pg_auth_members m JOIN held ON m.member = held.oid)"
    " SELECT r.oid::bigint AS oid FROM pg_roles r WHERE NOT rolsuper"
    " AND (current_setting('server_version_num')::int < 160000"
    "   OR EXISTS (SELECT FROM held WHERE held.rolsuper) OR r.oid IN ("
    "     SELECT m.roleid FROM pg_auth_members m JOIN held ON m.member = held.oid"
    "     WHERE m.admin_option))"
)
_PLACES = sql.SQL(
    "SELECT datname AS name, has_database_privilege(oid, 'CONNECT') AS broker_connects,"
    " EXISTS (SELECT FROM aclexplode(COALESCE(datacl, acldefault('d', datdba))) x"
    "   WHERE x.grantee = 0 AND x.privilege_type = 'CONNECT') AS open_to_all"
    " FROM pg_database WHERE datallowconn ORDER BY 1"
)
_PLACES_TO_CREATE = sql.SQL(
    "SELECT 'SCHEMA' AS kind, nspname AS name FROM pg_namespace WHERE nspname !~ '^pg_'"
    " AND has_schema_privilege(%(permission)s, oid, 'CREATE')"
    " AND NOT has_schema_privilege(%(grave)s, oid, 'CREATE')"
    " UNION ALL SELECT 'DATABASE', datname FROM pg_database WHERE datname = current_database()"
    " AND has_database_privilege(%(permission)s, oid, 'CREATE')"
    " AND NOT has_database_privilege(%(grave)s, oid, 'CREATE') ORDER BY 1, 2"
)


def preflight(
    target: Target, permissions: Sequence[str] | None = None, *, portal_id: str | None = None
) -> list[Check]:
    """All checks. A target that cannot be reached is a red line, not an error."""
    checks: list[Check] = []
    try:
        for check in _all_checks(target, permissions, portal_id):
            checks.append(check)  # noqa: PERF402 - what was found before a failure is kept
    except ConnectorError as error:
        checks.append(Check.red("Connection", error.sentence))
    return checks


def _all_checks(
    target: Target, permissions: Sequence[str] | None, portal_id: str | None
) -> Iterator[Check]:
    inventory = discover(target)  # signs in anew
    by_name = {role.name: role for role in inventory.roles}
    offered = [role.name for role in inventory.roles if not role.refusal]
    names = offered if permissions is None else list(permissions)
    with broker_session(target) as session:
        yield Check.green("Connection", "The broker signs in.")
        yield from _server_checks(session)
        yield from broker_checks(session, session.row(*broker_question(session)))
        yield _earlier_grants(session, portal_id)
        yield from _place_checks(session)
        for name in names:
            refusal = why_not(session, name)
            yield (
                Check.red(f"Permission {name}", refusal) if refusal else admin_check(session, name)
            )
    for database in inventory.databases:
        here = [name for name in names if name in by_name and database in by_name[name].databases]
        if here:
            yield from _lasting_checks(target, database, here)


def _server_checks(session: Session) -> Iterator[Check]:
    facts = session.row(_SERVER)
    yield _encryption(session)
    yield _passwords_asked(session.target)
    yield _clock(session)
    yield _version(session)
    yield (
        Check.red(
            "Broker",
            "The broker is a superuser, far more than it needs. Make it an "
            "ordinary role with CREATEROLE.",
            f"ALTER ROLE {setup_sql.identifier(session.target.user)} NOSUPERUSER CREATEROLE;",
        )
        if facts["superuser"]
        else Check.green("Broker", "The broker is not a superuser.")
    )
    yield (
        Check.red(
            "Prepared transactions",
            "Grantees can leave prepared transactions behind "
            "that keep locks. Set max_prepared_transactions to 0 unless something needs them.",
            "ALTER SYSTEM SET max_prepared_transactions = 0; -- then restart",
        )
        if facts["prepared"]
        else Check.green("Prepared transactions", "Nobody can leave a prepared transaction behind.")
    )


def _encryption(session: Session) -> Check:
    host, mode = session.target.host, session.target.sslmode
    if host.startswith(_LOOPBACK):
        return Check.green("TLS", "The connection does not leave this machine.")
    if mode == "verify-full" and session.connection.pgconn.ssl_in_use:
        return Check.green("TLS", "The connection is encrypted and the server verified.")
    return Check.red(
        "TLS",
        f"With TLS mode {mode} somebody between could pose as the target. Use verify-full.",
    )


def _passwords_asked(target: Target) -> Check:
    """A role that does not exist, with a password that is wrong: the answer tells how the server
    would treat a grantee. Where it trusts, it looks for the role first."""
    name = f"{ROLE_PREFIX}{secrets.token_hex(13)}"
    stranger = replace(target, user=name, password=secrets.token_urlsafe(16))
    try:
        with psycopg.connect(conninfo_for(stranger, target.database)):
            trusted = True
    except psycopg.Error as error:
        trusted = "password authentication failed" not in str(error)
    if not trusted:
        return Check.green("Passwords asked", "The server asks grantees for their password.")
    return Check.red(
        "Passwords asked",
        "The server does not ask grantees for a password in SCRAM, so their end could be passed "
        "by. Let pg_hba.conf ask for scram-sha-256.",
    )


def _clock(session: Session) -> Check:
    seconds = session.clock_skew.total_seconds()
    if abs(session.clock_skew) <= LARGEST_SKEW:
        return Check.green("Clock", f"The clocks agree ({seconds:+.1f} s).")
    return Check.red("Clock", f"The target's clock is off by {seconds:+.0f} s. Use NTP on both.")


def _version(session: Session) -> Check:
    major = session.version // 10000
    if session.has_membership_options:
        return Check.green("Version", f"PostgreSQL {major} limits the broker to its own roles.")
    return Check.red(
        "Version",
        f"On PostgreSQL {major} a broker with CREATEROLE is as good as root: it could grant itself "
        "pg_execute_server_program or reset any password, and grantees can SET ROLE. Use 16 or newer.",
    )


def _earlier_grants(session: Session, portal_id: str | None) -> Check:
    """Since version 16 only who made a role, or was given ADMIN, may end it: another broker may not."""
    name = "Earlier grants"
    mine = {row["oid"] for row in session.connection.execute(_UNDER_CONTROL)}
    beyond = [role.name for role in marked_roles(session, portal_id) if role.oid not in mine]
    if not beyond:
        return Check.green(name, "The broker may end every login the portal has made here.")
    broker = session.target.user
    return Check.red(
        name,
        f"The portal has made {len(beyond)} login(s) here through another broker, and {broker} may "
        "not end them. They let nobody in past their end, but open sessions would stay. Give it ADMIN.",
        "\n".join(
            setup_sql.admin_of_grant_sql(session.version // 10000, broker, each)
            for each in beyond[:_LONGEST_REMEDY]
        ),
    )


def _place_checks(session: Session) -> Iterator[Check]:
    for place in session.rows(_PLACES):
        name, database = f"Database {place['name']}", place["name"]
        if place["open_to_all"]:
            yield Check.red(
                name,
                f"Every role may connect to {database} through PUBLIC, grantees of other databases "
                "too. Take CONNECT from PUBLIC and give it to those who need it.",
                setup_sql.close_public_sql(database),
            )
        elif place["broker_connects"]:
            yield Check.green(name, f"Only named roles may connect to {database}.")


def _lasting_checks(target: Target, database: str, permissions: Sequence[str]) -> Iterator[Check]:
    """Rights that could be used to leave something behind that works after the end."""
    try:
        with broker_session(target, database=database) as session:
            for permission in permissions:
                yield _lasting_check(session, database, permission)
    except ConnectorError as error:
        remedy = setup_sql.connect_sql(database, target.user)
        yield Check.red(f"Database {database}", error.sentence, remedy)


def _lasting_check(session: Session, database: str, permission: str) -> Check:
    name = f"{permission} in {database}"
    lasting = [
        f"{privilege} of {right.kind} {right.name}"
        for right in rights_here(session, permission)
        for privilege in right.privileges
        if privilege in _LASTING or privilege.endswith("GRANT OPTION")
    ]
    if lasting:
        return Check.red(
            name,
            f"Through {permission} a grantee could leave working access or code behind "
            f"({', '.join(lasting[:5])}). Take these from the capability role.",
        )
    places = session.rows(_PLACES_TO_CREATE, {"permission": permission, "grave": GRAVEYARD_ROLE})
    if places:
        return Check.red(
            name,
            f"Grantees may create in {', '.join(place['name'] for place in places)}, but the "
            "graveyard role may not, so routines could not be put away. Let it create there.",
            "\n".join(setup_sql.graveyard_place_sql(**place) for place in places),
        )
    return Check.green(name, f"{permission} leaves nothing lasting in {database}.")
