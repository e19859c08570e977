"""Putting away what a grantee left behind, then dropping the role.

Objects go to the graveyard role, which can do nothing, with every right on them taken from
everybody: a SECURITY DEFINER routine of the grantee must not gain power by changing hands.
REASSIGN and DROP OWNED share one transaction per database: DROP OWNED after a failed REASSIGN
would destroy the objects.
"""

from collections.abc import Sequence

import structlog
from psycopg import sql
from psycopg.rows import DictRow

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql import setup_sql
from accessflows.connectors.postgresql.backend_sessions import join_roles, open_sessions_of
from accessflows.connectors.postgresql.connection import Session, broker_session
from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE
from accessflows.connectors.postgresql.owned_objects import databases_with_traces, items_here
from accessflows.connectors.postgresql.prepared_transactions import prepared_by, roll_back
from accessflows.connectors.postgresql.roles import Role, lock_grants, require_ours
from accessflows.connectors.protocol import Cleaning, GrantIdentity, OwnedObject, Target

log = structlog.get_logger(__name__)

_LONGEST_S = 120.0
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
# A trigger's routine runs without anybody's EXECUTE right being asked, as whoever changes the table.
# Dropping a trigger needs the table's owner; replacing the routine's body only its own.
_DISARMS = sql.SQL(
    "SELECT DISTINCT format('CREATE OR REPLACE FUNCTION %%s RETURNS trigger LANGUAGE plpgsql AS %%L',"
    "   p.oid::regprocedure::text,"
    "   'BEGIN IF TG_OP = ''DELETE'' THEN RETURN OLD; END IF; RETURN NEW; END') AS statement"
    " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid"
    " WHERE p.proowner = %(oid)s::oid AND c.relowner <> p.proowner"
)
# What is in a schema of the grantee's own may be moved before the schema is.
_OPENINGS = sql.SQL(
    "SELECT format('GRANT CREATE ON SCHEMA %%I TO %%I', nspname, %(grave)s::text) AS statement"
    " FROM pg_namespace WHERE nspowner = %(oid)s::oid"
)
_REMAINING = sql.SQL(
    "SELECT DISTINCT COALESCE(d.datname, 'the whole server') AS place"
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
    """Move what is owned, remove what was granted, drop the role. A role that is gone is success."""
    with broker_session(target, budget_s=_LONGEST_S) as session:
        session.check_server(identity.system_identifier)
        role = require_ours(session, identity)
        if role is None:
            return Cleaning(was_absent=True)
        _require_contained(session, role)
        prepared = _roll_back_prepared(session, role)
        databases = databases_with_traces(session, role.oid)
        # A role that left nothing is dropped as it is: after each GRANT the server reads all anew.
        if databases:
            join_roles(session, [role.oid])
        items = [
            item
            for database in databases
            for item in _clean_database(target, database, identity, role)
        ]
        _drop(session, identity)
    log.info("grant_cleaned", role=role.name, owned_objects=len(items))
    return Cleaning(
        databases=tuple(databases),
        moved=tuple(item for item in items if item.kind not in _REMOVED_KINDS),
        removed=tuple(item for item in items if item.kind in _REMOVED_KINDS),
        rolled_back=prepared,
    )


def _roll_back_prepared(session: Session, role: Role) -> tuple[str, ...]:
    """Only in their own database and only as their owner, which the broker joins for it."""
    left = prepared_by(session, [role.oid])
    if left:
        join_roles(session, [role.oid])
    for each in left:
        with broker_session(session.target, database=each.database) as there:
            roll_back(there, role.name, each.gid)
    return tuple(each.gid for each in left)


def _require_contained(session: Session, role: Role) -> None:
    """Dropping a role under an open session would leave that session without a name."""
    if role.can_login or open_sessions_of(session, role.oid):
        raise TargetRefused(f"{role.name} is still in use. Contain the grant before cleaning it.")


def _clean_database(
    target: Target, database: str, identity: GrantIdentity, role: Role
) -> list[OwnedObject]:
    names = {"role": sql.Identifier(role.name), "grave": sql.Identifier(GRAVEYARD_ROLE)}
    with broker_session(target, database=database) as session, session.connection.transaction():
        session.check_server(identity.system_identifier)
        items = items_here(session, database, role.oid)
        _run_each(session, session.rows(_DISARMS, {"oid": role.oid}))
        _run_each(session, session.rows(_others_rights(), {"oid": role.oid}))
        _run_each(session, session.rows(_OPENINGS, {"oid": role.oid, "grave": GRAVEYARD_ROLE}))
        session.run(
            [
                sql.SQL("REASSIGN OWNED BY {role} TO {grave}").format(**names),
                sql.SQL("DROP OWNED BY {role}").format(**names),
            ]
        )
    return items


def _others_rights() -> sql.Composed:
    return sql.SQL(_REVOKES).format(
        **{
            kind: sql.SQL(_OWNED_HERE).format(catalog=sql.Literal(catalog))
            for kind, catalog in _CATALOGS.items()
        }
    )


def _run_each(session: Session, rows: Sequence[DictRow]) -> None:
    for row in rows:
        session.connection.execute(row["statement"].encode())


def _drop(session: Session, identity: GrantIdentity) -> None:
    with session.connection.transaction():
        lock_grants(session, [identity])
        role = require_ours(session, identity)
        if role is not None:
            _require_contained(session, role)
            _require_no_dependency(session, role)
            session.run([sql.SQL("DROP ROLE {role}").format(role=sql.Identifier(role.name))])


def _require_no_dependency(session: Session, role: Role) -> None:
    """Only who gave a right can take it back; the broker cannot take what others gave by hand."""
    places = [row["place"] for row in session.rows(_REMAINING, {"oid": role.oid})]
    if places:
        raise TargetRefused(
            f"Others gave rights to {role.name} by hand that the broker may not take back, in "
            f"{', '.join(places)}. Nobody can use them. Have a superuser run there: "
            f"DROP OWNED BY {setup_sql.identifier(role.name)};"
        )
