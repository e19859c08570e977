"""Discovering what a target offers: databases, capability roles, and the rights of such a role."""

from collections.abc import Sequence

from psycopg import sql

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql.connection import BrokerConnection, connect_as_broker
from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE
from accessflows.connectors.postgresql.permission_state import delegation_of
from accessflows.connectors.postgresql.permissions import reachable_roles, refusal_of
from accessflows.connectors.postgresql.requirements import admin_check
from accessflows.connectors.protocol import (
    DiscoveredPermission,
    Inventory,
    Right,
    Target,
    grant_id_of,
)

MAX_ITEMS = 500

_DATABASES = sql.SQL(
    "SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
)
_ROLES = sql.SQL(
    "SELECT r.rolname AS name, ARRAY(SELECT d.datname::text FROM pg_database d"
    "   WHERE d.datallowconn AND NOT d.datistemplate"
    "   AND has_database_privilege(r.oid, d.oid, 'CONNECT') ORDER BY 1) AS databases"
    " FROM pg_roles r WHERE NOT r.rolcanlogin AND r.rolname NOT LIKE 'pg\\_%' ORDER BY 1"
)
# The rights of a role and of every role it is a member of, by object. Rights of PUBLIC do not come from the
# permission and are left out.
_RIGHTS = sql.SQL(
    "WITH RECURSIVE reach(oid) AS ("
    "  SELECT oid FROM pg_roles WHERE rolname = %(permission)s"
    "  UNION SELECT m.roleid FROM pg_auth_members m JOIN reach ON m.member = reach.oid"
    "), object(rank, kind, name, owner, acl) AS ("
    "  SELECT 1, 'database', quote_ident(datname), datdba, datacl FROM pg_database"
    "    WHERE datname = current_database()"
    "  UNION ALL SELECT 2, 'schema', quote_ident(nspname), nspowner, nspacl FROM pg_namespace"
    "    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
    "  UNION ALL SELECT 3, CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view'"
    "    WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END,"
    "    c.oid::regclass::text, c.relowner, c.relacl FROM pg_class c"
    "    JOIN pg_namespace n ON n.oid = c.relnamespace"
    "    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_'"
    "    AND n.nspname <> 'information_schema'"
    "  UNION ALL SELECT 4, 'column', a.attrelid::regclass::text || '.' || quote_ident(a.attname),"
    "    NULL::oid, a.attacl FROM pg_attribute a WHERE a.attacl IS NOT NULL AND NOT a.attisdropped"
    "  UNION ALL SELECT 5, 'routine', p.oid::regprocedure::text, p.proowner, p.proacl FROM pg_proc p"
    "    JOIN pg_namespace n ON n.oid = p.pronamespace"
    "    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    "), held(rank, kind, name, privilege, via) AS ("
    "  SELECT rank, kind, name, x.privilege_type || CASE WHEN x.is_grantable"
    "    THEN ' WITH GRANT OPTION' ELSE '' END, x.grantee"
    "    FROM object CROSS JOIN LATERAL aclexplode(acl) x WHERE x.grantee IN (SELECT oid FROM reach)"
    "    AND x.grantee IS DISTINCT FROM owner"
    "  UNION ALL SELECT rank, kind, name, 'OWNER', owner FROM object"
    "    WHERE owner IN (SELECT oid FROM reach)"
    ") SELECT kind, name, array_agg(DISTINCT privilege ORDER BY privilege) AS privileges,"
    " pg_get_userbyid(via)::text AS via"
    " FROM held GROUP BY rank, kind, name, via ORDER BY rank, name, via LIMIT {limit}"
)


def discover(target: Target) -> Inventory:
    """Return the databases and roles that can be offered; a role that must not be says why."""
    with connect_as_broker(target, fresh=True) as connection:
        databases = tuple(row["name"] for row in connection.rows(_DATABASES))
        roles = tuple(
            _capability(connection, row["name"], row["databases"])
            for row in connection.rows(_ROLES)
            if row["name"] != GRAVEYARD_ROLE and grant_id_of(row["name"]) is None
        )
        version = str(connection.version // 10000)
        return Inventory(databases, roles, version, connection.system_identifier)


def _capability(
    connection: BrokerConnection, name: str, databases: Sequence[str]
) -> DiscoveredPermission:
    if refusal := _refusal(connection, name):
        return DiscoveredPermission(name, tuple(databases), refusal)
    try:
        delegation = delegation_of(connection, name, connection.rows(*reachable_roles(name)))
    except TargetRefused as refused:
        return DiscoveredPermission(name, tuple(databases), refused.sentence)
    return DiscoveredPermission(name, tuple(databases), delegation=delegation)


def rights_in_current_database(connection: BrokerConnection, permission: str) -> list[Right]:
    """Return what a permission allows in the connected database, with the role that holds each right."""
    rows = connection.rows(_RIGHTS.format(limit=sql.Literal(MAX_ITEMS)), {"permission": permission})
    return [Right(row["kind"], row["name"], tuple(row["privileges"]), row["via"]) for row in rows]


def _refusal(connection: BrokerConnection, name: str) -> str:
    if reason := refusal_of(connection, name):
        return reason
    check = admin_check(connection, name)
    return "" if check.ok else check.sentence
