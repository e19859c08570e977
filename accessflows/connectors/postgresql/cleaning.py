"""Putting away what a grantee left behind, then dropping the role.

Objects go to the graveyard role, which can do nothing, with every right on them taken from
everybody: a SECURITY DEFINER routine of the grantee must not gain power by changing hands.
REASSIGN and DROP OWNED share one transaction per database: DROP OWNED after a failed REASSIGN
would destroy the objects.
"""

import structlog
from psycopg import sql

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE
from accessflows.connectors.postgresql.prepared import prepared_by, roll_back
from accessflows.connectors.postgresql.residue import databases_with_traces, items_here
from accessflows.connectors.postgresql.roles import Role, lock_grants, require_ours
from accessflows.connectors.postgresql.session import Session, broker_session
from accessflows.connectors.postgresql.sessions import join_roles, open_sessions_of
from accessflows.connectors.protocol import Cleaning, GrantIdentity, ResidueItem, Target

log = structlog.get_logger(__name__)

_REMOVED_KINDS = {"right", "default privileges", "policy"}

_OWNED_HERE = (
    "SELECT s.objid FROM pg_shdepend s WHERE s.refclassid = 'pg_authid'::regclass"
    " AND s.refobjid = %(oid)s::oid AND s.deptype = 'o' AND s.classid = {catalog}::regclass"
    " AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
# The rights of others on the grantee's objects, as statements that take them away. Quoted by the
# server itself, from its own catalogs.
_REVOKES = (
    "WITH object(kind, name, acl, owner) AS ("
    "  SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass::text,"
    "    acl, c.relowner FROM pg_class c CROSS JOIN LATERAL ("
    "      SELECT c.relacl AS acl UNION ALL"
    "      SELECT attacl FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL) each"
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
_CATALOGS = {
    "relations": "pg_class",
    "routines": "pg_proc",
    "schemas": "pg_namespace",
    "types": "pg_type",
    "large_objects": "pg_largeobject",
}


def clean(target: Target, identity: GrantIdentity) -> Cleaning:
    """Move what is owned, remove what was granted, drop the role. A role that is gone is success."""
    with broker_session(target) as session:
        session.check_server(identity.system_identifier)
        role = require_ours(session, identity)
        if role is None:
            return Cleaning(was_absent=True)
        _require_contained(session, role)
        join_roles(session, [role.oid])
        prepared = prepared_by(session, [role.oid])
        databases = databases_with_traces(session, role.oid)
    moved: list[ResidueItem] = []
    removed: list[ResidueItem] = []
    for each in prepared:
        with broker_session(target, database=each.database) as session:
            roll_back(session, role.name, each.gid)
    for database in databases:
        for item in _clean_database(target, database, identity, role):
            (removed if item.kind in _REMOVED_KINDS else moved).append(item)
    with broker_session(target) as session:
        _drop(session, identity)
    log.info("grant_cleaned", role=role.name, moved=len(moved), removed=len(removed))
    return Cleaning(
        databases=tuple(databases),
        moved=tuple(moved),
        removed=tuple(removed),
        rolled_back=tuple(each.gid for each in prepared),
    )


def _require_contained(session: Session, role: Role) -> None:
    """Dropping a role under an open session would leave that session without a name."""
    if role.can_login or open_sessions_of(session, role.oid):
        raise TargetRefused(f"{role.name} is still in use. Contain the grant before cleaning it.")


def _clean_database(
    target: Target, database: str, identity: GrantIdentity, role: Role
) -> list[ResidueItem]:
    names = {"role": sql.Identifier(role.name), "grave": sql.Identifier(GRAVEYARD_ROLE)}
    with broker_session(target, database=database) as session, session.connection.transaction():
        session.check_server(identity.system_identifier)
        items = items_here(session, database, role.oid)
        _take_rights_away(session, role.oid)
        session.run(
            [
                sql.SQL("REASSIGN OWNED BY {role} TO {grave}").format(**names),
                sql.SQL("DROP OWNED BY {role}").format(**names),
            ]
        )
    return items


def _take_rights_away(session: Session, role_oid: int) -> None:
    subqueries = {
        kind: sql.SQL(_OWNED_HERE).format(catalog=sql.Literal(catalog))
        for kind, catalog in _CATALOGS.items()
    }
    for row in session.rows(sql.SQL(_REVOKES).format(**subqueries), {"oid": role_oid}):
        session.connection.execute(row["statement"].encode())


def _drop(session: Session, identity: GrantIdentity) -> None:
    with session.connection.transaction():
        lock_grants(session, [identity])
        role = require_ours(session, identity)
        if role is not None:
            _require_contained(session, role)
            session.run([sql.SQL("DROP ROLE {role}").format(role=sql.Identifier(role.name))])
