"""Prepared transactions: they outlive sessions and roles, hold locks and can be committed later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from psycopg import sql

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.postgresql.backend_sessions import join_roles
from accessflows.connectors.postgresql.connection import BrokerConnection, connect_as_broker

log = structlog.get_logger(__name__)

_BUDGET_S = 5.0

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


def roll_back_prepared(
    connection: BrokerConnection, role_names: Mapping[int, str]
) -> list[PreparedTransaction]:
    """Roll back the prepared transactions of these roles, names by OID. Returns those rolled back.

    One can be rolled back only in its database and only as its owner, so the broker joins the role.
    """
    prepared = prepared_transactions_of(connection, list(role_names))
    if prepared:
        join_roles(connection, sorted({one.owner_oid for one in prepared}))
    rolled_back: list[PreparedTransaction] = []
    for database in sorted({one.database for one in prepared}):
        here = [one for one in prepared if one.database == database]
        try:
            with connect_as_broker(
                connection.target, database=database, budget_s=_BUDGET_S, urgent=True
            ) as other:
                for one in here:
                    _roll_back(other, role_names[one.owner_oid], one.gid)
                    rolled_back.append(one)
        except ConnectorError as error:
            log.warning("prepared_transaction_kept", database=database, reason=error.sentence)
    return rolled_back


def _roll_back(connection: BrokerConnection, role_name: str, gid: str) -> None:
    connection.run([sql.SQL("SET ROLE {role}").format(role=sql.Identifier(role_name))])
    try:
        connection.run([sql.SQL("ROLLBACK PREPARED {gid}").format(gid=sql.Literal(gid))])
    finally:
        if not connection.broken:
            connection.execute("RESET ROLE")
