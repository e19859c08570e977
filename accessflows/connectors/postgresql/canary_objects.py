"""The objects that the canary leaves behind: one of every kind its permission can create, anywhere.

Cleaning gives them to the graveyard role. They are found by their name and dropped as that role, also
those of a canary that was stopped.
"""

from typing import LiteralString

import psycopg
from psycopg import sql

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql.connection import connect_as_broker
from accessflows.connectors.postgresql.errors import quote
from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE
from accessflows.connectors.protocol import Target

Session = psycopg.Connection[tuple[object, ...]]

PREFIX = "jit_canary_"
MAX_SCHEMAS = 20

_SCHEMAS = (
    "SELECT nspname::text FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE')"
    " AND has_schema_privilege(oid, 'USAGE') AND nspname !~ '^pg_' ORDER BY 1 LIMIT %s"
)
_MAY_CREATE_SCHEMA = "SELECT has_database_privilege(current_database(), 'CREATE')"
# By kind, in the order in which they can be created.
_IN_A_SCHEMA: dict[str, LiteralString] = {
    "table": "CREATE TABLE {table} AS SELECT 1 AS id",
    "table with rights for others": (
        "CREATE TABLE {shared} (id int); GRANT SELECT ON {shared} TO {permission};"
        " GRANT SELECT (id) ON {shared} TO PUBLIC"
    ),
    "view": "CREATE VIEW {view} AS SELECT 1 AS id",
    "materialized view": "CREATE MATERIALIZED VIEW {matview} AS SELECT 1 AS id",
    "sequence": "CREATE SEQUENCE {sequence}",
    "function": (
        "CREATE FUNCTION {function}() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"
    ),
    "procedure": "CREATE PROCEDURE {procedure}() LANGUAGE sql AS 'SELECT 1'",
    "type": "CREATE TYPE {type} AS ENUM ('one')",
    "domain": "CREATE DOMAIN {domain} AS int",
    "collation": "CREATE COLLATION {collation} (locale = 'C')",
}
_NAMES = (
    "table",
    "shared",
    "view",
    "matview",
    "sequence",
    "function",
    "procedure",
    "type",
    "domain",
    "collation",
)
_ELSEWHERE: dict[str, LiteralString] = {
    "large object": (
        "DO $$ DECLARE made oid := lo_create(0); BEGIN"
        " EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', made, {name});"
        " EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO PUBLIC', made); END $$"
    ),
    "default privileges": "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
}
_OWN_SCHEMA = sql.SQL("CREATE SCHEMA {schema}; GRANT USAGE ON SCHEMA {schema} TO PUBLIC")
_DROPS = sql.SQL(
    "SELECT statement FROM ("
    " SELECT 0 AS rank, format('DROP SCHEMA %I CASCADE', nspname) AS statement, nspname AS name,"
    "   nspowner AS owner FROM pg_namespace"
    " UNION ALL SELECT 1, format('DROP %s IF EXISTS %s CASCADE', CASE relkind"
    "   WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'"
    "   ELSE 'TABLE' END, oid::regclass), relname, relowner FROM pg_class"
    "   WHERE relkind IN ('r', 'v', 'm', 'S')"
    " UNION ALL SELECT 1, format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure), proname,"
    "   proowner FROM pg_proc"
    " UNION ALL SELECT 1, format('DROP TYPE IF EXISTS %s CASCADE', oid::regtype), typname, typowner"
    "   FROM pg_type WHERE typtype = 'e'"
    " UNION ALL SELECT 1, format('DROP DOMAIN IF EXISTS %s CASCADE', oid::regtype), typname, typowner"
    "   FROM pg_type WHERE typtype = 'd'"
    " UNION ALL SELECT 1, format('DROP COLLATION IF EXISTS %s', oid::regcollation), collname,"
    "   collowner FROM pg_collation"
    " UNION ALL SELECT 1, format('SELECT lo_unlink(%s)', l.oid), description, lomowner"
    "   FROM pg_largeobject_metadata l JOIN pg_description d ON d.objoid = l.oid"
    "   AND d.classoid = 'pg_largeobject'::regclass"
    ") object WHERE name LIKE 'jit\\_canary\\_%' AND owner = {graveyard}::regrole ORDER BY rank"
).format(graveyard=sql.Literal(GRAVEYARD_ROLE))


def create_all(session: Session, permission: str, tag: str) -> list[str]:
    """Create one of each kind in every schema that allows it. Return the kinds.

    `tag` tells the names of one canary from those of another.
    """
    session.autocommit = True
    kinds = list(_ELSEWHERE)
    try:
        schemas = [str(name) for (name,) in session.execute(_SCHEMAS, [MAX_SCHEMAS])]
        if session.execute(_MAY_CREATE_SCHEMA).fetchone() == (True,):
            own = f"{PREFIX}{tag}_schema"
            session.execute(_OWN_SCHEMA.format(schema=sql.Identifier(own)))
            schemas.append(own)
            kinds.append("schema")
        for schema in schemas:
            for text in _IN_A_SCHEMA.values():
                session.execute(_statement(text, schema, permission, tag))
        for text in _ELSEWHERE.values():
            session.execute(sql.SQL(text).format(name=sql.Literal(f"{PREFIX}{tag}")))
    except psycopg.Error as error:
        raise TargetRefused(
            f"The canary could not create its objects ({quote(error.diag.message_primary)})."
        ) from None
    return kinds + (list(_IN_A_SCHEMA) if schemas else [])


def remove_all(target: Target, resource: str) -> int:
    """Drop the objects of canaries that the graveyard role owns in a database. Return how many."""
    with connect_as_broker(target, database=resource) as connection, connection.transaction():
        rows = connection.rows(_DROPS)
        if not rows:
            return 0
        connection.run([sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(GRAVEYARD_ROLE))])
        for row in rows:
            connection.execute(row["statement"].encode())
        connection.execute("RESET ROLE")
        return len(rows)


def _statement(text: LiteralString, schema: str, permission: str, tag: str) -> sql.Composed:
    names = {name: sql.Identifier(schema, f"{PREFIX}{tag}_{name}") for name in _NAMES}
    return sql.SQL(text).format(**names, permission=sql.Identifier(permission))
