"""Proving an end: the target's own catalogs, read back in every database."""

from psycopg import sql

from accessflows.connectors.postgresql.prepared import prepared_by
from accessflows.connectors.postgresql.session import Session, broker_session
from accessflows.connectors.postgresql.sessions import open_sessions_of
from accessflows.connectors.protocol import GrantIdentity, Proof, Target

METHOD = (
    "Read from the target: pg_roles by name and OID, pg_stat_activity by OID, pg_prepared_xact() "
    "by OID, pg_shdepend for the whole server, and owners and access lists in every database."
)

_ROLE = sql.SQL(
    "SELECT clock_timestamp() AS checked_at,"
    " EXISTS (SELECT FROM pg_roles WHERE oid = %(oid)s::oid) AS oid_there,"
    " EXISTS (SELECT FROM pg_roles WHERE rolname = %(name)s) AS name_there,"
    " (SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass"
    "   AND refobjid = %(oid)s::oid) AS dependencies,"
    " (SELECT count(*) FROM pg_auth_members WHERE %(oid)s::oid IN (roleid, member, grantor))"
    "   AS memberships"
)
_DATABASES = sql.SQL(
    "SELECT datname AS name, has_database_privilege(oid, 'CONNECT') AS readable FROM pg_database"
    " WHERE datallowconn ORDER BY datname"
)
_OWNERS = {
    "pg_class": "relowner",
    "pg_proc": "proowner",
    "pg_namespace": "nspowner",
    "pg_type": "typowner",
    "pg_default_acl": "defaclrole",
    "pg_largeobject_metadata": "lomowner",
    "pg_database": "datdba",
    "pg_tablespace": "spcowner",
}
_ACCESS_LISTS = {
    "pg_class": "relacl",
    "pg_attribute": "attacl",
    "pg_proc": "proacl",
    "pg_namespace": "nspacl",
    "pg_type": "typacl",
    "pg_default_acl": "defaclacl",
    "pg_largeobject_metadata": "lomacl",
    "pg_language": "lanacl",
    "pg_foreign_data_wrapper": "fdwacl",
    "pg_foreign_server": "srvacl",
    "pg_parameter_acl": "paracl",
    "pg_database": "datacl",
    "pg_tablespace": "spcacl",
}
_OWNED = "SELECT {catalog} AS place, count(*) AS number FROM {table} WHERE {column} = %(oid)s::oid"
_LISTED = (
    "SELECT {catalog} AS place, count(*) AS number FROM {table} WHERE {column} IS NOT NULL AND"
    " EXISTS (SELECT FROM aclexplode({column}) x WHERE %(oid)s::oid IN (x.grantee, x.grantor))"
)


def prove(target: Target, identity: GrantIdentity) -> Proof:
    """What is left of a grant. Changes nothing and can be asked again at any time."""
    with broker_session(target) as session:
        session.check_server(identity.system_identifier)
        said = session.row(_ROLE, {"oid": identity.role_oid, "name": identity.role_name})
        sessions = open_sessions_of(session, identity.role_oid)
        prepared = [each.gid for each in prepared_by(session, [identity.role_oid])]
        databases = session.rows(_DATABASES)
    traces: dict[str, int] = {}
    unread: list[str] = []
    for database in databases:
        if database["readable"]:
            traces |= _traces_in(target, database["name"], identity)
        else:
            unread.append(database["name"])
    return Proof(
        role_gone=not said["oid_there"] and not said["name_there"],
        sessions_gone=sessions == 0,
        residue_none=not (said["dependencies"] or said["memberships"] or prepared or traces),
        checked_at=said["checked_at"],
        method=METHOD,
        details={
            "role": identity.role_name,
            "role_oid": identity.role_oid,
            "system_identifier": identity.system_identifier,
            "sessions": sessions,
            "prepared_transactions": prepared,
            "dependencies": said["dependencies"],
            "memberships": said["memberships"],
            "traces": traces,
            "databases_read": [each["name"] for each in databases if each["name"] not in unread],
            "databases_known_from_pg_shdepend_only": unread,
        },
    )


def _traces_in(target: Target, database: str, identity: GrantIdentity) -> dict[str, int]:
    with broker_session(target, database=database) as session:
        session.check_server(identity.system_identifier)
        return _count_traces(session, database, identity.role_oid)


def _count_traces(session: Session, database: str, role_oid: int) -> dict[str, int]:
    questions = [
        sql.SQL(text).format(
            catalog=sql.Literal(f"{catalog}.{column}"),
            table=sql.Identifier("pg_catalog", catalog),
            column=sql.Identifier(column),
        )
        for text, columns in ((_OWNED, _OWNERS), (_LISTED, _ACCESS_LISTS))
        for catalog, column in columns.items()
    ]
    rows = session.rows(sql.SQL(" UNION ALL ").join(questions), {"oid": role_oid})
    return {f"{database}: {row['place']}": row["number"] for row in rows if row["number"]}
