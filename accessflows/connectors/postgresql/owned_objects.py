"""Listing what a grantee left behind, from pg_shdepend: it records every object, right and policy that
refers to a role, for all databases (PostgreSQL manual, "pg_shdepend").
"""

from collections.abc import Iterator

from psycopg import sql

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.postgresql.connection import BrokerConnection, connect_as_broker
from accessflows.connectors.postgresql.prepared_transactions import prepared_transactions_of
from accessflows.connectors.postgresql.roles import OtherRole, find_role, find_roles, oid_of
from accessflows.connectors.postgresql.settings import maintenance_database
from accessflows.connectors.protocol import GrantIdentity, OwnedObject, OwnedObjects, Target

MAX_ITEMS = 500  # per database; a grantee may have created any number of objects

_DATABASES = sql.SQL(
    "SELECT DISTINCT d.datname AS name FROM pg_shdepend s JOIN pg_database d"
    " ON d.oid = CASE s.dbid WHEN 0 THEN"
    "   (SELECT oid FROM pg_database WHERE datname = current_database()) ELSE s.dbid END"
    " WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = %(oid)s::oid"
    " AND s.classid <> 'pg_auth_members'::regclass ORDER BY 1"
)
# 'o' owner, 'a' access right, 'i' initial right (17+), 'r' row security policy.
_ITEMS = sql.SQL(
    "SELECT CASE WHEN s.deptype = 'r' THEN 'policy'"
    "   WHEN s.deptype IN ('a', 'i') THEN 'right'"
    "   WHEN s.classid = 'pg_default_acl'::regclass THEN 'default privileges'"
    "   WHEN p.prosecdef THEN 'SECURITY DEFINER routine'"
    "   ELSE 'object' END AS kind,"
    " pg_describe_object(s.classid, s.objid, s.objsubid) AS name"
    " FROM pg_shdepend s"
    " LEFT JOIN pg_proc p ON s.classid = 'pg_proc'::regclass AND p.oid = s.objid AND s.dbid <> 0"
    " WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = %(oid)s::oid"
    " AND s.classid <> 'pg_auth_members'::regclass"
    " AND s.dbid IN ((SELECT oid FROM pg_database WHERE datname = current_database()), %(shared)s)"
    " UNION ALL SELECT 'trigger', pg_describe_object('pg_trigger'::regclass, t.oid, 0)"
    " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid"
    " WHERE p.proowner = %(oid)s::oid AND c.relowner <> p.proowner"
    " ORDER BY 1, 2 LIMIT {limit}"
)


def find_owned_objects(target: Target, identity: GrantIdentity) -> OwnedObjects:
    """List what the grantee left behind in every database; only prepared transactions if the role is gone."""
    with connect_as_broker(target) as connection:
        connection.check_server(identity.server_id)
        if isinstance(find_roles(connection, [identity])[identity], OtherRole):
            return OwnedObjects(())
        items = [
            OwnedObject(transaction.database, "prepared transaction", transaction.gid)
            for transaction in prepared_transactions_of(connection, [oid_of(identity)])
        ]
        if find_role(connection, identity) is None:
            return OwnedObjects(tuple(items))
        databases = databases_with_dependencies(connection, oid_of(identity))
    for database in databases:
        items += _items_in(target, database, oid_of(identity))
    return OwnedObjects(tuple(items))


def databases_with_dependencies(connection: BrokerConnection, role_oid: int) -> list[str]:
    """Return where objects depend on the role. Shared objects count for the maintenance database."""
    return [row["name"] for row in connection.rows(_DATABASES, {"oid": role_oid})]


def objects_in_current_database(
    connection: BrokerConnection, database: str, role_oid: int
) -> list[OwnedObject]:
    """List the objects in the connected database; for the maintenance database, also shared objects."""
    return list(_read(connection, database, role_oid))


def _items_in(target: Target, database: str, role_oid: int) -> list[OwnedObject]:
    try:
        with connect_as_broker(target, database=database) as connection:
            return objects_in_current_database(connection, database, role_oid)
    except ConnectorError as error:
        return [OwnedObject(database, "unreadable", error.sentence)]


def _read(connection: BrokerConnection, database: str, role_oid: int) -> Iterator[OwnedObject]:
    shared_dbid = 0 if database == maintenance_database(connection.target) else None
    rows = connection.rows(
        _ITEMS.format(limit=sql.Literal(MAX_ITEMS + 1)),
        {"oid": role_oid, "shared": shared_dbid},
    )
    for row in rows[:MAX_ITEMS]:
        yield OwnedObject(database, row["kind"], row["name"])
    if len(rows) > MAX_ITEMS:
        yield OwnedObject(database, "more", f"and more than {MAX_ITEMS} in all")
