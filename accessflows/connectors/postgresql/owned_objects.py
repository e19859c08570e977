"""What a grantee left behind, read from pg_shdepend: there every object, right and policy that
mentions a role is recorded, for all databases at once (PostgreSQL manual, chapter "pg_shdepend").
"""

from collections.abc import Iterator

from psycopg import sql

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.postgresql.connection import Session, broker_session
from accessflows.connectors.postgresql.prepared_transactions import prepared_by
from accessflows.connectors.postgresql.roles import require_ours
from accessflows.connectors.protocol import GrantIdentity, OwnedObject, OwnedObjects, Target

LONGEST_LIST = 500  # per database; a grantee may have made any number of things

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
    """All that the grantee left behind, in every database. Empty if the role is gone."""
    with broker_session(target) as session:
        session.check_server(identity.system_identifier)
        items = [
            OwnedObject(each.database, "prepared transaction", each.gid)
            for each in prepared_by(session, [identity.role_oid])
        ]
        if require_ours(session, identity) is None:
            return OwnedObjects(tuple(items))
        databases = databases_with_traces(session, identity.role_oid)
    for database in databases:
        items += _items_in(target, database, identity.role_oid)
    return OwnedObjects(tuple(items))


def databases_with_traces(session: Session, role_oid: int) -> list[str]:
    """Where the role is mentioned. Server-wide mentions count for the maintenance database."""
    return [row["name"] for row in session.rows(_DATABASES, {"oid": role_oid})]


def items_here(session: Session, database: str, role_oid: int) -> list[OwnedObject]:
    """The owned_objects in the session's own database; the maintenance one stands for the server too."""
    return list(_read(session, database, role_oid))


def _items_in(target: Target, database: str, role_oid: int) -> list[OwnedObject]:
    try:
        with broker_session(target, database=database) as session:
            return items_here(session, database, role_oid)
    except ConnectorError as error:
        return [OwnedObject(database, "unreadable", error.sentence)]


def _read(session: Session, database: str, role_oid: int) -> Iterator[OwnedObject]:
    shared_dbid = 0 if database == session.target.database else None
    rows = session.rows(
        _ITEMS.format(limit=sql.Literal(LONGEST_LIST + 1)),
        {"oid": role_oid, "shared": shared_dbid},
    )
    for row in rows[:LONGEST_LIST]:
        yield OwnedObject(database, row["kind"], row["name"])
    if len(rows) > LONGEST_LIST:
        yield OwnedObject(database, "more", f"and more than {LONGEST_LIST} in all")
