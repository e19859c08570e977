"""Proving an end: the target's own catalogs, read back in every database."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from psycopg import sql
from psycopg.rows import DictRow

from accessflows.connectors.errors import ConnectorError, TargetMismatch
from accessflows.connectors.postgresql.backend_sessions import count_sessions
from accessflows.connectors.postgresql.connection import broker_session
from accessflows.connectors.postgresql.prepared_transactions import prepared_by
from accessflows.connectors.protocol import GrantIdentity, Proof, Target

METHOD = (
    "Read from the target: pg_roles by name and OID, pg_stat_activity by OID, pg_prepared_xact() "
    "by OID, pg_shdepend for the whole server, and owners and access lists in every database."
)

_ROLES = sql.SQL(
    "SELECT asked.oid::bigint AS oid, asked.name, clock_timestamp() AS checked_at,"
    " EXISTS (SELECT FROM pg_roles WHERE oid = asked.oid) AS oid_there,"
    " EXISTS (SELECT FROM pg_roles WHERE rolname = asked.name) AS name_there,"
    " (SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass"
    "   AND refobjid = asked.oid) AS dependencies,"
    " (SELECT count(*) FROM pg_auth_members"
    "   WHERE roleid = asked.oid OR member = asked.oid OR grantor = asked.oid) AS memberships"
    " FROM unnest(%(oids)s::oid[], %(names)s::name[]) AS asked (oid, name)"
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
_OWNED = (
    "SELECT {catalog} AS place, {column}::bigint AS oid, count(*) AS number FROM {table}"
    " WHERE {column} = ANY(%(oids)s::oid[]) GROUP BY {column}"
)
_LISTED = (
    "SELECT {catalog} AS place, named.oid::bigint AS oid, count(*) AS number FROM {table}"
    " CROSS JOIN LATERAL ("
    "   SELECT DISTINCT each.oid FROM aclexplode({column}) x"
    "   CROSS JOIN LATERAL (VALUES (x.grantee), (x.grantor)) AS each (oid)"
    "   WHERE each.oid = ANY(%(oids)s::oid[])) named"
    " WHERE {column} IS NOT NULL GROUP BY named.oid"
)

Traces = dict[int, dict[str, int]]  # of each OID, how many in which place


def prove(target: Target, identity: GrantIdentity) -> Proof:
    """What is left of a grant. Changes nothing and can be asked again at any time."""
    proof = prove_many(target, [identity])[identity]
    if isinstance(proof, ConnectorError):
        raise proof
    return proof


def prove_many(
    target: Target, identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, Proof | ConnectorError]:
    """`prove` for many: each catalog is read once for all of them."""
    proven: dict[GrantIdentity, Proof | ConnectorError] = {}
    with broker_session(target) as session:
        for identity in identities:
            try:
                session.check_server(identity.system_identifier)
            except TargetMismatch as mismatch:
                proven[identity] = mismatch
        asked = [each for each in identities if each not in proven]
        oids = [each.role_oid for each in asked]
        names = [each.role_name for each in asked]
        rows = session.rows(_ROLES, {"oids": oids, "names": names})
        said = {(row["oid"], row["name"]): row for row in rows}
        sessions = count_sessions(session, oids)
        prepared = prepared_by(session, oids)
        databases = session.rows(_DATABASES)
    readable = [each["name"] for each in databases if each["readable"]]
    unread = [each["name"] for each in databases if not each["readable"]]
    traces: Traces = defaultdict(dict)
    for database in readable if asked else []:
        _add_traces(traces, target, database, asked)
    for identity in asked:
        oid = identity.role_oid
        gids = [each.gid for each in prepared if each.owner_oid == oid]
        left = {"sessions": sessions[oid], "prepared_transactions": gids, "traces": traces[oid]}
        read = {"databases_read": readable, "databases_known_from_pg_shdepend_only": unread}
        proven[identity] = _proof(identity, said[oid, identity.role_name], left, read)
    return proven


def _proof(
    identity: GrantIdentity, said: DictRow, left: dict[str, Any], read: dict[str, list[str]]
) -> Proof:
    counted = {name: said[name] for name in ("dependencies", "memberships")}
    return Proof(
        role_removed=not said["oid_there"] and not said["name_there"],
        no_open_sessions=left["sessions"] == 0,
        nothing_left_behind=not any(
            [*counted.values(), left["prepared_transactions"], left["traces"]]
        ),
        checked_at=said["checked_at"],
        method=METHOD,
        details={
            "role": identity.role_name,
            "role_oid": identity.role_oid,
            "system_identifier": identity.system_identifier,
            **left,
            **counted,
            **read,
        },
    )


def _add_traces(
    traces: Traces, target: Target, database: str, identities: Sequence[GrantIdentity]
) -> None:
    with broker_session(target, database=database) as session:
        for system_identifier in {each.system_identifier for each in identities}:
            session.check_server(system_identifier)
        questions = [
            sql.SQL(text).format(
                catalog=sql.Literal(f"{catalog}.{column}"),
                table=sql.Identifier("pg_catalog", catalog),
                column=sql.Identifier(column),
            )
            for text, columns in ((_OWNED, _OWNERS), (_LISTED, _ACCESS_LISTS))
            for catalog, column in columns.items()
        ]
        oids = [each.role_oid for each in identities]
        for row in session.rows(sql.SQL(" UNION ALL ").join(questions), {"oids": oids}):
            traces[row["oid"]][f"{database}: {row['place']}"] = row["number"]
