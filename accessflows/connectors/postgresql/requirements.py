"""The rights the broker needs on a target, so that it can revoke whatever it grants.

Preflight reports them as checks; activation refuses while one that concerns its own grant fails.
"""

from psycopg import sql
from psycopg.rows import DictRow

from accessflows.connectors.postgresql import setup_sql
from accessflows.connectors.postgresql.connection import BrokerConnection, Query
from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE
from accessflows.connectors.protocol import Check

# pg_has_role() supports the privilege SET since version 16; before, membership implied it.
_BROKER = (
    "SELECT current_user AS broker, me.rolsuper AS superuser,"
    " me.rolsuper OR me.rolcreaterole AS createrole,"
    " pg_has_role('pg_signal_backend', 'USAGE') AS signals,"
    " yard.oid IS NOT NULL AS graveyard_exists,"
    " yard.rolcanlogin OR yard.rolsuper OR yard.rolcreaterole OR yard.rolcreatedb"
    "   OR yard.rolreplication OR yard.rolbypassrls"
    "   OR EXISTS (SELECT FROM pg_auth_members WHERE member = yard.oid) AS graveyard_has_rights,"
    " COALESCE(pg_has_role(yard.oid, 'USAGE') AND pg_has_role(yard.oid, {set}), false)"
    "   AS graveyard_usable"
    " FROM pg_roles me LEFT JOIN pg_roles yard ON yard.rolname = {graveyard}"
    " WHERE me.rolname = current_user"
)
_ADMIN = sql.SQL(
    "SELECT pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') AS ok FROM pg_roles"
    " WHERE rolname = %(permission)s"
)
_GRANT = sql.SQL(
    "SELECT d.datallowconn AS open, has_database_privilege(d.oid, 'CONNECT') AS broker_connects,"
    " has_database_privilege(r.oid, d.oid, 'CONNECT') AS permission_connects,"
    " pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION') AS may_grant,"
    " current_setting('max_prepared_transactions')::int AS prepared,"
    " ARRAY(SELECT datname::text FROM pg_database other WHERE other.datallowconn"
    "   AND has_database_privilege(r.oid, other.oid, 'CONNECT')"
    "   AND NOT has_database_privilege(other.oid, 'CONNECT') ORDER BY 1) AS out_of_reach"
    " FROM (SELECT) nothing LEFT JOIN pg_database d ON d.datname = %(resource)s"
    " LEFT JOIN pg_roles r ON r.rolname = %(permission)s"
)


def broker_query(connection: BrokerConnection) -> Query:
    usage = "SET" if connection.has_membership_options else "MEMBER"
    names = {"set": sql.Literal(usage), "graveyard": sql.Literal(GRAVEYARD_ROLE)}
    return sql.SQL(_BROKER).format(**names), None


def broker_checks(connection: BrokerConnection, facts: DictRow) -> list[Check]:
    """Check what the broker needs for any grant, from the result of `broker_query`."""
    return [
        _primary(connection),
        _createrole(facts),
        _signals(connection, facts),
        _graveyard(connection, facts),
    ]


def broker_and_grant_query(connection: BrokerConnection, resource: str, permission: str) -> Query:
    """Return the query for one row with all facts about the broker and one grant."""
    broker, _ = broker_query(connection)
    combined = sql.SQL("SELECT * FROM ({broker}) broker CROSS JOIN ({grant}) one_grant")
    values = {"resource": resource, "permission": permission}
    return combined.format(broker=broker, grant=_GRANT), values


def grant_checks(
    connection: BrokerConnection, facts: DictRow, resource: str, permission: str
) -> list[Check]:
    """Check what this grant needs, from the result of `broker_and_grant_query`."""
    return [
        _grant_check(connection, permission, may_grant=facts["may_grant"]),
        _connect_check(connection, facts, resource, permission),
        _prepared_check(connection, facts, permission),
    ]


def admin_check(connection: BrokerConnection, permission: str) -> Check:
    """Check whether the broker can grant this role."""
    rows = connection.rows(_ADMIN, {"permission": permission})
    return _grant_check(connection, permission, may_grant=bool(rows and rows[0]["ok"]))


def _grant_check(connection: BrokerConnection, permission: str, *, may_grant: bool) -> Check:
    """Before version 16, CREATEROLE is enough for any role."""
    name = f"Grant {permission}"
    if may_grant or not connection.has_membership_options:
        return Check.passed(name, f"The broker can grant {permission}.")
    return Check.failed(
        name,
        f"The broker can't grant {permission}. Grant it this role WITH ADMIN OPTION.",
        setup_sql.admin_option_sql(connection.target.user, permission),
    )


def _prepared_check(connection: BrokerConnection, facts: DictRow, permission: str) -> Check:
    """Check that the broker can roll back what a grantee prepares, which may lock the grantee's role.

    Before version 16 a grantee can become the capability role, and prepare as that role.
    """
    name = "Prepared transactions"
    remedy = "Set max_prepared_transactions to 0."
    if facts["prepared"] and not connection.has_membership_options:
        sentence = (
            "Grantees could leave prepared transactions that the broker can't roll back before "
            f"PostgreSQL 16. {remedy}"
        )
    elif facts["prepared"] and facts["out_of_reach"]:
        sentence = (
            f"Grantees of {permission} could leave prepared transactions in "
            f"{', '.join(facts['out_of_reach'])}, where the broker can't connect. {remedy}"
        )
    else:
        return Check.passed(name, "The broker can roll back what a grantee prepares.")
    return Check.failed(name, sentence, setup_sql.NO_PREPARED_TRANSACTIONS)


def _primary(connection: BrokerConnection) -> Check:
    if connection.standby:
        return Check.failed(
            "Primary",
            "The server is a read-only standby. Enter the primary's address.",
        )
    return Check.passed("Primary", "The server is writable.")


def _createrole(facts: DictRow) -> Check:
    if facts["createrole"]:
        return Check.passed("CREATEROLE", "The broker can create roles.")
    return Check.failed(
        "CREATEROLE",
        f"The broker {facts['broker']} can't create roles. Give it CREATEROLE.",
        f"ALTER ROLE {setup_sql.identifier(facts['broker'])} CREATEROLE;",
    )


def _signals(connection: BrokerConnection, facts: DictRow) -> Check:
    if facts["signals"]:
        return Check.passed("pg_signal_backend", "The broker can terminate sessions.")
    return Check.failed(
        "pg_signal_backend",
        "The broker can't terminate every session. Grant it pg_signal_backend.",
        setup_sql.signal_sql(connection.version // 10000, facts["broker"]),
    )


def _graveyard(connection: BrokerConnection, facts: DictRow) -> Check:
    name = "Graveyard role"
    if not facts["graveyard_exists"]:
        sentence = f"The role {GRAVEYARD_ROLE}, which owns what grantees leave behind, is missing. Create it."
        remedy = setup_sql.create_role_sql(GRAVEYARD_ROLE, "NOLOGIN")
    elif facts["graveyard_has_rights"]:
        sentence = (
            f"{GRAVEYARD_ROLE} can log in, has attributes or is a member of other roles, so leftover "
            "routines would run with these rights. Remove them all."
        )
        remedy = (
            f"ALTER ROLE {GRAVEYARD_ROLE} NOLOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB "
            "NOREPLICATION NOBYPASSRLS;"
        )
    elif not facts["graveyard_usable"]:
        sentence = f"The broker can't reassign objects to {GRAVEYARD_ROLE}. Grant it this role."
        remedy = ""
    else:
        return Check.passed(name, "Leftover objects have a new owner.")
    grant = setup_sql.graveyard_sql(connection.version // 10000, facts["broker"])
    return Check.failed(name, sentence, f"{remedy}\n{grant}".strip())


def _connect_check(
    connection: BrokerConnection, facts: DictRow, resource: str, permission: str
) -> Check:
    name = f"Connect to {resource}"
    if not facts["open"]:
        return Check.failed(
            name,
            f"The target has no database {resource} that accepts connections.",
        )
    for key, role in (
        ("broker_connects", connection.target.user),
        ("permission_connects", permission),
    ):
        if not facts[key]:
            return Check.failed(
                name,
                f"{role} can't connect to the database {resource}. Grant it CONNECT.",
                setup_sql.connect_sql(resource, role),
            )
    return Check.passed(name, f"The broker and {permission} can connect to {resource}.")
