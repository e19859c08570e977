"""Removing what a grantee left behind, then dropping the role.

Objects go to the graveyard role, which has no rights, and every right on them is revoked: a SECURITY
DEFINER routine of the grantee must not gain rights by changing its owner. REASSIGN OWNED and DROP OWNED
share one transaction per database: DROP OWNED after a failed REASSIGN OWNED would destroy the objects.
"""

from collections.abc import Sequence
from contextlib import suppress

import structlog
from psycopg import errors, sql
from psycopg.rows import DictRow

from accessflows.connectors.errors import ConnectorError, TargetRefused
from accessflows.connectors.postgresql import setup_sql
from accessflows.connectors.postgresql.backend_sessions import count_open_sessions, join_roles
from accessflows.connectors.postgresql.connection import BrokerConnection, connect_as_broker
from accessflows.connectors.postgresql.errors import quote
from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE
from accessflows.connectors.postgresql.owned_objects import (
    databases_with_dependencies,
    objects_in_current_database,
)
from accessflows.connectors.postgresql.prepared_transactions import roll_back_prepared
from accessflows.connectors.postgresql.roles import Role, find_role, lock_grants
from accessflows.connectors.protocol import Cleaning, GrantIdentity, OwnedObject, Target

log = structlog.get_logger(__name__)

_BUDGET_S = 120.0
_REMOVED_KINDS = {"right", "default privileges", "policy"}

_OWNED_HERE = (
    "SELECT s.objid FROM pg_shdepend s WHERE s.refclassid = 'pg_authid'::regclass"
    " AND s.refobjid = %(oid)s::oid AND s.deptype = 'o' AND s.classid = {catalog}::regclass"
    " AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
# Statements that revoke the rights of others on the grantee's objects. Quoted by the server itself, from its
# own catalogs.
_REVOKES = (
    "WITH object(kind, name, acl, owner) AS ("
    "  SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass::text,"
    "    acl, c.relowner FROM pg_class c CROSS JOIN LATERAL ("
    "      SELECT c.relacl AS acl UNION ALL"
    "      SELECT attacl FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL) acls"
    "    WHERE c.oid IN ({relations}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
    "  UNION ALL SELECT 'ROUTINE', oid::regprocedure::text,"
    "    COALESCE(proacl, acldefault('f', proowner)), proowner FROM pg_proc WHERE oid IN ({routines})"
    "  UNION ALL SELECT 'SCHEMA', oid::regnamespace::text, nspacl, nspowner FROM pg_namespace"
    "    WHERE oid IN ({schemas})"
    "  UNION ALL SELECT 'TYPE', oid::regtype::text, typacl, typowner FROM pg_type"
    "    WHERE oid IN ({types})"
    "  UNION ALL SELECT 'LARGE OBJECT', oid::text, lomacl, lomowner FROM pg_largeobject_metadata"
    "    WHERE oid IN ({large_objects})"
    ") SELECT DISTINCT format('REVOKE ALL ON %%s %%s FROM %%s CASCADE', kind, name,"
    "   CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END)"
    "   AS statement"
    " FROM object CROSS JOIN LATERAL aclexplode(acl) x WHERE x.grantee <> owner"
)
# A trigger's routine runs as whoever changes the table, without needing EXECUTE. Dropping a trigger takes the
# owner of the table; replacing the routine's body only the owner of the routine.
_DISARMS = sql.SQL(
    "SELECT DISTINCT format('CREATE OR REPLACE FUNCTION %%s RETURNS trigger LANGUAGE plpgsql AS %%L',"
    "   p.oid::regprocedure::text,"
    "   'BEGIN IF TG_OP = ''DELETE'' THEN RETURN OLD; END IF; RETURN NEW; END') AS statement"
    " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid"
    " WHERE p.proowner = %(oid)s::oid AND c.relowner <> p.proowner"
)
# Objects in a schema of the grantee may be reassigned before the schema itself.
_SCHEMA_GRANTS = sql.SQL(
    "SELECT format('GRANT CREATE ON SCHEMA %%I TO %%I', nspname, %(graveyard)s::text) AS statement"
    " FROM pg_namespace WHERE nspowner = %(oid)s::oid"
)
_REMAINING = sql.SQL(
    "SELECT DISTINCT COALESCE(d.datname, 'the whole server') AS location"
    " FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid"
    " WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = %(oid)s::oid"
    " AND s.classid <> 'pg_auth_members'::regclass ORDER BY 1"
)
_CATALOGS = {
    "relations": "pg_class",
    "routines": "pg_proc",
    "schemas": "pg_namespace",
    "types": "pg_type",
    "large_objects": "pg_largeobject",
}


def clean(target: Target, identity: GrantIdentity) -> Cleaning:
    """Reassign what the role owns, revoke what it was granted, drop it. A missing role is success."""
    with connect_as_broker(target, budget_s=_BUDGET_S) as connection:
        connection.check_server(identity.server_id)
        role = find_role(connection, identity)
        if role is None:
            return Cleaning(was_absent=True)
        _require_contained(connection, role)
        prepared = roll_back_prepared(connection, {role.oid: role.name})
        databases = databases_with_dependencies(connection, role.oid)
        # Without leftovers skip the GRANT, which makes the server recompute all memberships.
        if databases:
            join_roles(connection, [role.oid])
            for database in databases:
                _take_rights_away(target, database, identity, role)
        items = _clean_databases(target, databases, identity, role)
        _drop(connection, identity)
    log.info("grant_cleaned", role=role.name, owned_objects=len(items))
    return Cleaning(
        databases=tuple(databases),
        moved=tuple(item for item in items if item.kind not in _REMOVED_KINDS),
        removed=tuple(item for item in items if item.kind in _REMOVED_KINDS),
        rolled_back=tuple(transaction.gid for transaction in prepared),
    )


def _require_contained(connection: BrokerConnection, role: Role) -> None:
    """Refuse to drop a role under an open session, which would go on without a role name."""
    if role.can_login or count_open_sessions(connection, role.oid):
        raise TargetRefused(f"{role.name} is still in use. Contain the grant first.")


def _take_rights_away(target: Target, database: str, identity: GrantIdentity, role: Role) -> None:
    """Disarm triggers and revoke rights before anything else, which an accomplice's locks may delay.

    What fails here fails again while cleaning, with its reason.
    """
    with (
        suppress(ConnectorError),
        connect_as_broker(target, database=database) as connection,
    ):
        connection.check_server(identity.server_id)
        for query in (_DISARMS, _revokes()):
            for row in connection.rows(query, {"oid": role.oid}):
                with suppress(errors.InsufficientPrivilege, errors.LockNotAvailable):
                    connection.execute(row["statement"].encode())


def _clean_databases(
    target: Target, databases: Sequence[str], identity: GrantIdentity, role: Role
) -> list[OwnedObject]:
    """Clean every database, then raise the first failure: one stops no other."""
    items: list[OwnedObject] = []
    failures: list[ConnectorError] = []
    for database in databases:
        try:
            items += _clean_database(target, database, identity, role)
        except ConnectorError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return items


def _clean_database(
    target: Target, database: str, identity: GrantIdentity, role: Role
) -> list[OwnedObject]:
    with connect_as_broker(target, database=database) as connection:
        connection.check_server(identity.server_id)
        try:
            with connection.transaction():
                return _reassign_and_drop(connection, database, role)
        except errors.InsufficientPrivilege as error:
            raise TargetRefused(
                f"The broker can't clean up after {role.name} in {database} "
                f"({quote(error.diag.message_primary)}). Nobody can use it. Ask a superuser to run this there: "
                f"REASSIGN OWNED BY {setup_sql.identifier(role.name)} TO {GRAVEYARD_ROLE}; "
                f"DROP OWNED BY {setup_sql.identifier(role.name)};"
            ) from None


def _reassign_and_drop(
    connection: BrokerConnection, database: str, role: Role
) -> list[OwnedObject]:
    items = objects_in_current_database(connection, database, role.oid)
    reassign_owned(connection, role.oid, role.name)
    connection.run([sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role.name))])
    return items


def reassign_owned(connection: BrokerConnection, oid: int, name: str) -> None:
    """Give what a role owns in the connected database to the graveyard role, without rights for anybody."""
    _run_each(connection, connection.rows(_DISARMS, {"oid": oid}))
    _run_each(connection, connection.rows(_revokes(), {"oid": oid}))
    values = {"oid": oid, "graveyard": GRAVEYARD_ROLE}
    _run_each(connection, connection.rows(_SCHEMA_GRANTS, values))
    names = {"role": sql.Identifier(name), "graveyard": sql.Identifier(GRAVEYARD_ROLE)}
    connection.run([sql.SQL("REASSIGN OWNED BY {role} TO {graveyard}").format(**names)])


def _revokes() -> sql.Composed:
    return sql.SQL(_REVOKES).format(
        **{
            kind: sql.SQL(_OWNED_HERE).format(catalog=sql.Literal(catalog))
            for kind, catalog in _CATALOGS.items()
        }
    )


def _run_each(connection: BrokerConnection, rows: Sequence[DictRow]) -> None:
    for row in rows:
        connection.execute(row["statement"].encode())


def _drop(connection: BrokerConnection, identity: GrantIdentity) -> None:
    with connection.transaction():
        lock_grants(connection, [identity])
        role = find_role(connection, identity)
        if role is not None:
            _require_contained(connection, role)
            _require_no_dependency(connection, role)
            connection.run([sql.SQL("DROP ROLE {role}").format(role=sql.Identifier(role.name))])


def _require_no_dependency(connection: BrokerConnection, role: Role) -> None:
    """A right can only be revoked by whoever granted it; the broker cannot revoke those of others."""
    locations = [row["location"] for row in connection.rows(_REMAINING, {"oid": role.oid})]
    if locations:
        raise TargetRefused(
            f"Others granted {role.name} rights by hand that the broker can't revoke, in "
            f"{', '.join(locations)}. Nobody can use them. Ask a superuser to run this there: "
            f"DROP OWNED BY {setup_sql.identifier(role.name)};"
        )
