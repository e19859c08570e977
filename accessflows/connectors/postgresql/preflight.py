"""Checks of a target before it is used, with the SQL that fixes the failed ones."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace

import psycopg
from psycopg import sql

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.postgresql import setup_sql
from accessflows.connectors.postgresql.activation import MAX_CLOCK_SKEW
from accessflows.connectors.postgresql.capacity import reserved_check
from accessflows.connectors.postgresql.connection import (
    BrokerConnection,
    connect_as_broker,
    conninfo_for,
)
from accessflows.connectors.postgresql.discovery import discover, rights_in_current_database
from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE
from accessflows.connectors.postgresql.permission_queries import MAY_READ_PASSWORDS
from accessflows.connectors.postgresql.permissions import refusal_of
from accessflows.connectors.postgresql.requirements import (
    admin_check,
    broker_checks,
    broker_query,
)
from accessflows.connectors.postgresql.roles import marked_roles
from accessflows.connectors.postgresql.settings import maintenance_database
from accessflows.connectors.protocol import LOGIN_PREFIX, Check, Target
from accessflows.connectors.tls import is_loopback

_MAX_REMEDY_LINES = 100
_PERSISTENT_RIGHTS = {"OWNER", "TRIGGER"}

_SERVER = sql.SQL(
    "SELECT rolsuper AS superuser, current_setting('max_prepared_transactions')::int AS prepared"
    " FROM pg_roles WHERE rolname = current_user"
)
# The rule of ALTER ROLE and DROP ROLE; before version 16, CREATEROLE is enough for every role. pg_has_role()
# would walk everything the broker may administer, for each role.
_ADMINISTERED = sql.SQL(
    "WITH RECURSIVE held AS ("
    "  SELECT oid, rolsuper FROM pg_roles WHERE rolname = current_user"
    "  UNION SELECT m.roleid, false FROM pg_auth_members m JOIN held ON m.member = held.oid)"
    " SELECT r.oid::bigint AS oid FROM pg_roles r WHERE NOT rolsuper"
    " AND (current_setting('server_version_num')::int < 160000"
    "   OR EXISTS (SELECT FROM held WHERE held.rolsuper) OR r.oid IN ("
    "     SELECT m.roleid FROM pg_auth_members m JOIN held ON m.member = held.oid"
    "     WHERE m.admin_option))"
)
_DATABASES = sql.SQL(
    "SELECT datname AS name, has_database_privilege(oid, 'CONNECT') AS broker_connects,"
    " EXISTS (SELECT FROM aclexplode(COALESCE(datacl, acldefault('d', datdba))) x"
    "   WHERE x.grantee = 0 AND x.privilege_type = 'CONNECT') AS open_to_all"
    " FROM pg_database WHERE datallowconn ORDER BY 1"
)
_CREATABLE = sql.SQL(
    "SELECT 'SCHEMA' AS kind, nspname AS name FROM pg_namespace WHERE nspname !~ '^pg_'"
    " AND has_schema_privilege(%(permission)s, oid, 'CREATE')"
    " AND NOT (has_schema_privilege(%(graveyard)s, oid, 'CREATE')"
    "   AND has_schema_privilege(%(graveyard)s, oid, 'USAGE'))"
    " UNION ALL SELECT 'DATABASE', datname FROM pg_database WHERE datname = current_database()"
    " AND has_database_privilege(%(permission)s, oid, 'CREATE')"
    " AND NOT has_database_privilege(%(graveyard)s, oid, 'CREATE') ORDER BY 1, 2"
)


# Schemas with objects that a permission has rights on, and that it may not enter.
_CLOSED_SCHEMAS = sql.SQL(
    "SELECT n.nspname AS name FROM pg_namespace n WHERE n.nspname !~ '^pg_'"
    " AND n.nspname <> 'information_schema'"
    " AND NOT has_schema_privilege(%(permission)s, n.oid, 'USAGE') AND EXISTS ("
    "   SELECT FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) x"
    "   JOIN pg_roles r ON r.oid = x.grantee"
    "   WHERE c.relnamespace = n.oid AND pg_has_role(%(permission)s, r.oid, 'USAGE')) ORDER BY 1"
)


def preflight(
    target: Target, permissions: Sequence[str] | None = None, *, portal_id: str | None = None
) -> list[Check]:
    """Run all checks. A target that cannot be reached is a failed check, not an error."""
    checks: list[Check] = []
    try:
        for check in _all_checks(target, permissions, portal_id):
            checks.append(check)  # noqa: PERF402 - checks before a failure are kept
    except ConnectorError as error:
        checks.append(Check.failed("Connection", error.sentence))
    return checks


def _all_checks(
    target: Target, permissions: Sequence[str] | None, portal_id: str | None
) -> Iterator[Check]:
    inventory = discover(target)  # signs in again
    by_name = {role.name: role for role in inventory.permissions}
    offered = [
        role.name for role in inventory.permissions if not role.refusal and not role.delegation
    ]
    names = offered if permissions is None else list(permissions)
    with connect_as_broker(target) as connection:
        yield Check.passed("Connection", "The broker can sign in.")
        yield from _server_checks(connection)
        yield from broker_checks(connection, connection.row(*broker_query(connection)))
        yield _earlier_grants(connection, portal_id)
        yield from _database_checks(connection)
        for name in names:
            refusal = refusal_of(connection, name)
            yield (
                Check.failed(f"Permission {name}", refusal)
                if refusal
                else admin_check(connection, name)
            )
    for database in inventory.resources:
        usable = [name for name in names if name in by_name and database in by_name[name].resources]
        if usable:
            yield from _persistence_checks(target, database, usable)


def _server_checks(connection: BrokerConnection) -> Iterator[Check]:
    facts = connection.row(_SERVER)
    yield _encryption(connection)
    yield _password_required(connection.target)
    yield _clock(connection)
    yield _version(connection)
    yield reserved_check(connection)
    if not connection.has_membership_options:
        yield _passwords(connection)
    yield (
        Check.failed(
            "Broker",
            "The broker is a superuser. Make it an ordinary role with CREATEROLE.",
            f"ALTER ROLE {setup_sql.identifier(connection.target.user)} NOSUPERUSER CREATEROLE;",
        )
        if facts["superuser"]
        else Check.passed("Broker", "The broker is not a superuser.")
    )
    yield (
        Check.failed(
            "Prepared transactions",
            "Grantees can leave prepared transactions behind that hold locks. Set "
            "max_prepared_transactions to 0 unless applications need them. Before PostgreSQL 16, "
            "nothing is granted until then.",
            setup_sql.NO_PREPARED_TRANSACTIONS,
        )
        if facts["prepared"]
        else Check.passed("Prepared transactions", "Prepared transactions are disabled.")
    )


def _encryption(connection: BrokerConnection) -> Check:
    host, mode = connection.target.host, connection.target.sslmode
    if host.startswith("/") or is_loopback(host):
        return Check.passed("TLS", "The connection stays on this machine.")
    if mode == "verify-full" and connection.raw.pgconn.ssl_in_use:
        return Check.passed("TLS", "The connection is encrypted and the server is verified.")
    return Check.failed(
        "TLS",
        f"With TLS mode {mode}, an attacker on the network can impersonate the target. Use verify-full.",
    )


def _password_required(target: Target) -> Check:
    """Try a role that does not exist with a wrong password: the error shows how the server authenticates
    grantees. With trust authentication, it looks up the role first."""
    name = f"{LOGIN_PREFIX}{secrets.token_hex(13)}"
    credential = replace(target, user=name, password=secrets.token_urlsafe(16))
    try:
        with psycopg.connect(conninfo_for(credential, maintenance_database(target))):
            trusted = True
    except psycopg.Error as error:
        trusted = "password authentication failed" not in str(error)
    if not trusted:
        return Check.passed("Password required", "The server requires passwords from grantees.")
    return Check.failed(
        "Password required",
        "The server lets grantees in without a SCRAM password, even after their expiry. Require "
        "scram-sha-256 in pg_hba.conf.",
    )


def _clock(connection: BrokerConnection) -> Check:
    seconds = connection.clock_skew.total_seconds()
    if abs(connection.clock_skew) <= MAX_CLOCK_SKEW:
        return Check.passed("Clock", f"The clocks agree ({seconds:+.1f} s).")
    return Check.failed(
        "Clock", f"The target's clock is off by {seconds:+.0f} s. Synchronize both clocks with NTP."
    )


def _version(connection: BrokerConnection) -> Check:
    major = connection.version // 10000
    if connection.has_membership_options:
        return Check.passed(
            "Version", f"PostgreSQL {major} limits the broker to the roles it created."
        )
    return Check.failed(
        "Version",
        f"On PostgreSQL {major}, CREATEROLE lets the broker grant itself any role and reset any "
        "password, and grantees can SET ROLE. Upgrade to 16 or newer.",
    )


def _passwords(connection: BrokerConnection) -> Check:
    """Before version 16, a grantee can become the capability role and set a password for it."""
    name = "Capability role passwords"
    if connection.row(MAY_READ_PASSWORDS)["ok"]:
        return Check.passed(name, "The broker can see passwords set for capability roles.")
    return Check.failed(
        name,
        "The broker can't see whether a grantee set a password for a capability role. Grant it this privilege.",
        setup_sql.passwords_sql(connection.target.user),
    )


def _earlier_grants(connection: BrokerConnection, portal_id: str | None) -> Check:
    """Since version 16, only the creator of a role, or a role with ADMIN OPTION, can drop it."""
    name = "Earlier grants"
    administered = {row["oid"] for row in connection.execute(_ADMINISTERED)}
    others = [
        role.name for role in marked_roles(connection, portal_id) if role.oid not in administered
    ]
    if not others:
        return Check.passed(name, "The broker can drop every login the portal created here.")
    broker = connection.target.user
    return Check.failed(
        name,
        f"Another broker created {len(others)} login(s) of the portal here, and {broker} can't drop "
        "them. They expire, but their sessions would stay open. Grant it these roles WITH ADMIN OPTION.",
        "\n".join(
            setup_sql.admin_of_grant_sql(connection.version // 10000, broker, login)
            for login in others[:_MAX_REMEDY_LINES]
        ),
    )


def _database_checks(connection: BrokerConnection) -> Iterator[Check]:
    for row in connection.rows(_DATABASES):
        name, database = f"Database {row['name']}", row["name"]
        if row["open_to_all"]:
            yield Check.failed(
                name,
                f"Every role can connect to {database} through PUBLIC, including grantees of other "
                "databases. Revoke CONNECT from PUBLIC and grant it to the roles that need it.",
                setup_sql.close_public_sql(database),
            )
        elif row["broker_connects"]:
            yield Check.passed(name, f"Only named roles can connect to {database}.")


def _persistence_checks(
    target: Target, database: str, permissions: Sequence[str]
) -> Iterator[Check]:
    """Check for rights with which a grantee could leave access or code behind."""
    try:
        with connect_as_broker(target, database=database) as connection:
            for permission in permissions:
                yield _persistence_check(connection, database, permission)
                yield from _usage_checks(connection, database, permission)
    except ConnectorError as error:
        remedy = setup_sql.connect_sql(database, target.user)
        yield Check.failed(f"Database {database}", error.sentence, remedy)


def _usage_checks(connection: BrokerConnection, database: str, permission: str) -> Iterator[Check]:
    """Check that the rights on objects can be used: without USAGE on their schema they look like rights."""
    rows = connection.rows(_CLOSED_SCHEMAS, {"permission": permission})
    schemas = [row["name"] for row in rows]
    if schemas:
        yield Check.failed(
            f"Schemas of {permission} in {database}",
            f"{permission} has rights on objects in {', '.join(schemas)}, but not USAGE on the schema, so "
            "they can't be used.",
            "\n".join(setup_sql.usage_sql(name, permission) for name in schemas),
        )


def _persistence_check(connection: BrokerConnection, database: str, permission: str) -> Check:
    name = f"{permission} in {database}"
    persistent = [
        f"{privilege} of {right.kind} {right.name}"
        for right in rights_in_current_database(connection, permission)
        for privilege in right.privileges
        if privilege in _PERSISTENT_RIGHTS or privilege.endswith("GRANT OPTION")
    ]
    if persistent:
        return Check.failed(
            name,
            f"With {permission}, a grantee could leave access or code behind "
            f"({', '.join(persistent[:5])}). Revoke these from the capability role.",
        )
    containers = connection.rows(
        _CREATABLE, {"permission": permission, "graveyard": GRAVEYARD_ROLE}
    )
    if containers:
        return Check.failed(
            name,
            f"Grantees can create objects in {', '.join(row['name'] for row in containers)}, but the "
            "graveyard role can't take them over. Grant it USAGE and CREATE there.",
            "\n".join(setup_sql.graveyard_create_sql(**row) for row in containers),
        )
    return Check.passed(name, f"{permission} can leave no access or code behind in {database}.")
