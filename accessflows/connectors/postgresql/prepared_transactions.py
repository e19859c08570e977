"""Prepared transactions: they outlive sessions and roles, hold locks and can be committed later."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from accessflows.connectors.postgresql.connection import BrokerConnection

# The view pg_prepared_xacts shows the owner by name, which is lost with the role; the function behind it
# keeps the OID.
_BY_OWNER = sql.SQL(
    "SELECT p.gid, p.ownerid::bigint AS owner, d.datname AS database FROM pg_prepared_xact() p"
    " LEFT JOIN pg_database d ON d.oid = p.dbid WHERE p.ownerid = ANY(%(oids)s::oid[])"
    " ORDER BY p.prepared"
)


@dataclass(frozen=True)
class PreparedTransaction:
    gid: str
    owner_oid: int
    database: str


def prepared_transactions_of(
    connection: BrokerConnection, role_oids: Sequence[int]
) -> list[PreparedTransaction]:
    return [
        PreparedTransaction(row["gid"], row["owner"], row["database"] or "")
        for row in connection.rows(_BY_OWNER, {"oids": list(role_oids)})
    ]


def roll_back(connection: BrokerConnection, role_name: str, gid: str) -> None:
    """Roll back as the owner. The connection is to their database, and the broker a member of the role."""
    connection.run([sql.SQL("SET ROLE {role}").format(role=sql.Identifier(role_name))])
    try:
        connection.run([sql.SQL("ROLLBACK PREPARED {gid}").format(gid=sql.Literal(gid))])
    finally:
        connection.execute("RESET ROLE")
