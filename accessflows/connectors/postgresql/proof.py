"""Proving removal: the target's own catalogs, read in every database."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from psycopg import sql
from psycopg.rows import DictRow

from accessflows.connectors.errors import ConnectorError, TargetMismatch
from accessflows.connectors.postgresql.backend_sessions import count_sessions
from accessflows.connectors.postgresql.connection import BrokerConnection, connect_as_broker
from accessflows.connectors.postgresql.prepared_transactions import prepared_transactions_of
from accessflows.connectors.postgresql.roles import OtherRole, find_roles, oid_of
from accessflows.connectors.protocol import GrantIdentity, Proof, Target

METHOD = (
    "Read from the target: pg_roles by name and OID, pg_stat_activity by OID, pg_prepared_xact() "
    "by OID, pg_shdepend for the whole server, and owners and access lists in every database."
)
METHOD_OF_REUSE = (
    "Read from the target: pg_roles has no role of this name. The OID belongs to another role, which has neither "
    "this login's name nor its marker, as after a restore from an older backup."
)

_ROLES = sql.SQL(
    "SELECT role.oid::bigint AS oid, role.name, clock_timestamp() AS checked_at,"
    " EXISTS (SELECT FROM pg_roles WHERE oid = role.oid) AS oid_exists,"
    " EXISTS (SELECT FROM pg_roles WHERE rolname = role.name) AS name_exists,"
    " (SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass"
    "   AND refobjid = role.oid) AS dependencies,"
    " (SELECT count(*) FROM pg_auth_members"
    "   WHERE roleid = role.oid OR member = role.oid OR grantor = role.oid) AS memberships"
    " FROM unnest(%(oids)s::oid[], %(names)s::name[]) AS role (oid, name)"
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
    "SELECT {catalog} AS location, {column}::bigint AS oid, count(*) AS number FROM {table}"
    " WHERE {column} = ANY(%(oids)s::oid[]) GROUP BY {column}"
)
_LISTED = (
    "SELECT {catalog} AS location, named.oid::bigint AS oid, count(*) AS number FROM {table}"
    " CROSS JOIN LATERAL ("
    "   SELECT DISTINCT holder.oid FROM aclexplode({column}) x"
    "   CROSS JOIN LATERAL (VALUES (x.grantee), (x.grantor)) AS holder (oid)"
    "   WHERE holder.oid = ANY(%(oids)s::oid[])) named"
    " WHERE {column} IS NOT NULL GROUP BY named.oid"
)

Traces = dict[int, dict[str, int]]  # by OID, the number of references by location


def prove(target: Target, identity: GrantIdentity) -> Proof:
    """Report what is left of a grant. Changes nothing; safe to repeat at any time."""
    proof = prove_many(target, [identity])[identity]
    if isinstance(proof, ConnectorError):
        raise proof
    return proof


def prove_many(
    target: Target, identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, Proof | ConnectorError]:
    """Prove many: each catalog is read once for all of them."""
    proofs: dict[GrantIdentity, Proof | ConnectorError] = {}
    with connect_as_broker(target) as connection:
        proofs |= _of_other_servers(connection, identities)
        accepted = [identity for identity in identities if identity not in proofs]
        lookups = find_roles(connection, accepted)
        oids = [oid_of(identity) for identity in accepted]
        names = [identity.name for identity in accepted]
        rows = connection.rows(_ROLES, {"oids": oids, "names": names})
        facts = {(row["oid"], row["name"]): row for row in rows}
        sessions = count_sessions(connection, oids)
        prepared = prepared_transactions_of(connection, oids)
        databases = connection.rows(_DATABASES)
    readable = [row["name"] for row in databases if row["readable"]]
    unread = [row["name"] for row in databases if not row["readable"]]
    traces: Traces = defaultdict(dict)
    for database in readable if accepted else []:
        _add_traces(traces, target, database, accepted)
    for identity in accepted:
        oid, lookup = oid_of(identity), lookups[identity]
        about = facts[oid, identity.name]
        gids = [transaction.gid for transaction in prepared if transaction.owner_oid == oid]
        left = {"sessions": sessions[oid], "prepared_transactions": gids, "traces": traces[oid]}
        read = {"databases_read": readable, "databases_known_from_pg_shdepend_only": unread}
        proofs[identity] = (
            _proof_of_reuse(identity, about, lookup)
            if isinstance(lookup, OtherRole)
            else _proof(identity, about, left, read)
        )
    return proofs


def _of_other_servers(
    connection: BrokerConnection, identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, TargetMismatch]:
    mismatches: dict[GrantIdentity, TargetMismatch] = {}
    for identity in identities:
        try:
            connection.check_server(identity.server_id)
        except TargetMismatch as mismatch:
            mismatches[identity] = mismatch
    return mismatches


def _proof_of_reuse(identity: GrantIdentity, facts: DictRow, other: OtherRole) -> Proof:
    """Everything that names the OID is the other role's now: with a role, its OID goes from all lists."""
    return Proof(
        role_removed=not facts["name_exists"],
        no_open_sessions=True,
        nothing_left_behind=True,
        checked_at=facts["checked_at"],
        method=METHOD_OF_REUSE,
        details={
            "role": identity.name,
            "role_oid": oid_of(identity),
            "system_identifier": identity.server_id,
            "oid_reused_by": other.role.name,
        },
    )


def _proof(
    identity: GrantIdentity, facts: DictRow, left: dict[str, Any], read: dict[str, list[str]]
) -> Proof:
    counts = {name: facts[name] for name in ("dependencies", "memberships")}
    return Proof(
        role_removed=not facts["oid_exists"] and not facts["name_exists"],
        no_open_sessions=left["sessions"] == 0,
        nothing_left_behind=not any(
            [*counts.values(), left["prepared_transactions"], left["traces"]]
        ),
        checked_at=facts["checked_at"],
        method=METHOD,
        details={
            "role": identity.name,
            "role_oid": oid_of(identity),
            "system_identifier": identity.server_id,
            **left,
            **counts,
            **read,
        },
    )


def _add_traces(
    traces: Traces, target: Target, database: str, identities: Sequence[GrantIdentity]
) -> None:
    with connect_as_broker(target, database=database) as connection:
        for server_id in {identity.server_id for identity in identities}:
            connection.check_server(server_id)
        queries = [
            sql.SQL(text).format(
                catalog=sql.Literal(f"{catalog}.{column}"),
                table=sql.Identifier("pg_catalog", catalog),
                column=sql.Identifier(column),
            )
            for text, columns in ((_OWNED, _OWNERS), (_LISTED, _ACCESS_LISTS))
            for catalog, column in columns.items()
        ]
        oids = [oid_of(identity) for identity in identities]
        for row in connection.rows(sql.SQL(" UNION ALL ").join(queries), {"oids": oids}):
            traces[row["oid"]][f"{database}: {row['location']}"] = row["number"]
