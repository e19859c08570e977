"""The connections of a target: how many grants it can bear, and a way in that nobody else can take."""

from psycopg import sql
from psycopg.rows import DictRow

from accessflows.connectors.postgresql import setup_sql
from accessflows.connectors.postgresql.connection import BrokerConnection, Query
from accessflows.connectors.protocol import Check

RESERVE = 5  # connections that grants never use

# What is left of max_connections for roles without privileges.
_USABLE = sql.SQL(
    "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    " - COALESCE(current_setting('reserved_connections', true)::int, 0)"
)
_CAPACITY = sql.SQL(
    "SELECT {usable} AS usable,"
    " (SELECT COALESCE(sum(rolconnlimit), 0)::int FROM pg_roles WHERE {grantee}"
    "   AND rolname <> %(role)s AND rolvaliduntil > clock_timestamp()) AS granted,"
    " (SELECT count(*)::int FROM pg_stat_get_activity(NULL) session JOIN pg_roles r"
    "   ON r.oid = session.usesysid WHERE session.datid <> 0 AND NOT {grantee}) AS others"
).format(usable=_USABLE, grantee=sql.SQL("rolname ~ '^jit_[a-z2-7]{26}$'"))
_RESERVED = sql.SQL(
    "SELECT {usable} AS usable,"
    " COALESCE(current_setting('reserved_connections', true)::int, 0) AS reserved,"
    " COALESCE((SELECT pg_has_role(oid, 'USAGE') FROM pg_roles"
    "   WHERE rolname = 'pg_use_reserved_connections'), false) AS may_use"
).format(usable=_USABLE)
_DATABASE_LIMITS = sql.SQL(
    "SELECT datname::text AS name, datconnlimit AS connections FROM pg_database"
    " WHERE datallowconn AND NOT datistemplate AND datname <> current_database() ORDER BY 1"
)
_LOCK = sql.SQL("SELECT pg_advisory_xact_lock(hashtext('apono-portal-capacity'))")


def lock_capacity_query() -> Query:
    """Return the query that keeps others from activating until the transaction ends."""
    return _LOCK, None


def capacity_query(role_name: str) -> Query:
    """Return the query for `capacity_refusal`, of a grant with this role."""
    return _CAPACITY, {"role": role_name}


def capacity_refusal(facts: DictRow, connection_limit: int) -> str:
    """Return why the target can't bear another grant, or an empty string."""
    free = facts["usable"] - facts["others"] - RESERVE
    if facts["granted"] + connection_limit <= free:
        return ""
    return (
        f"The target has no room for {connection_limit} more connections: active grants may use "
        f"{facts['granted']}, of {max(free, 0)} that others leave free. Wait until other access expires, or "
        "ask its administrator to raise max_connections."
    )


def reserved_check(connection: BrokerConnection) -> Check:
    """Check that the broker gets in although all other connections are taken."""
    facts = connection.row(_RESERVED)
    if not connection.has_membership_options:
        return _database_limits(connection, facts["usable"])
    name = "Reserved connections"
    if facts["reserved"] and facts["may_use"]:
        return Check.passed(name, f"{facts['reserved']} connections are reserved for the broker.")
    remedy = setup_sql.reserved_sql(connection.target.user)
    return Check.failed(
        name,
        "Grantees and applications can use every connection, which delays revocation. Set "
        "reserved_connections and grant the broker pg_use_reserved_connections.",
        remedy if facts["reserved"] else f"{remedy}\n{setup_sql.RESERVED_CONNECTIONS}",
    )


def _database_limits(connection: BrokerConnection, usable: int) -> Check:
    """Before version 16, only a limit of each database keeps connections free for the broker."""
    name = "Reserved connections"
    databases = connection.rows(_DATABASE_LIMITS)
    limits = [row["connections"] for row in databases]
    if min(limits, default=0) >= 0 and sum(limits) + RESERVE <= usable:
        return Check.passed(
            name, "The connection limits of the databases leave room for the broker."
        )
    return Check.failed(
        name,
        "Grantees and applications can use every connection, which delays revocation. Limit "
        f"the connections of each database, {max(usable - RESERVE, 0)} in all.",
        setup_sql.database_limits_sql([row["name"] for row in databases], usable - RESERVE),
    )
