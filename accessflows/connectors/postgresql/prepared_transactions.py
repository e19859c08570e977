"""Prepared transactions: they outlive sessions and roles, keep their locks and can be committed later."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from accessflows.connectors.postgresql.connection import Session

# The view pg_prepared_xacts shows the owner by name, which is gone once the role is; the function
# beneath it keeps the OID.
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


def prepared_by(session: Session, role_oids: Sequence[int]) -> list[PreparedTransaction]:
    return [
        PreparedTransaction(row["gid"], row["owner"], row["database"] or "")
        for row in session.rows(_BY_OWNER, {"oids": list(role_oids)})
    ]


def roll_back(session: Session, role_name: str, gid: str) -> None:
    """Roll back as their owner. `session` is in their database, the broker a member of the role."""
    session.run([sql.SQL("SET ROLE {role}").format(role=sql.Identifier(role_name))])
    try:
        session.run([sql.SQL("ROLLBACK PREPARED {gid}").format(gid=sql.Literal(gid))])
    finally:
        session.connection.execute("RESET ROLE")
