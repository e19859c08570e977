"""The broker's connection to a target: bounded in time, wary of what is there, and never left open
after trouble.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString, TypeVar, cast

import psycopg
from psycopg import pq, sql
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row

from accessflows.connectors import idle_pool
from accessflows.connectors.errors import (
    ConnectorError,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.postgresql.errors import address, connect_failure, query_failure
from accessflows.connectors.postgresql.names import check_name
from accessflows.connectors.protocol import Target

OLDEST_VERSION = 150000
MEMBERSHIP_OPTIONS_SINCE = 160000  # GRANT role ... WITH INHERIT, SET, ADMIN
_REQUIRE_AUTH_SINCE = 160000  # libpq
_STALLED_TRANSACTION_S = 5
_LONGEST_KEPT_S = 300.0
_IDLE_S = 150.0  # longer than from one look at a target to the next
_LOOK_UP_S = 0.1  # how often a waiting connection looks at its clock

T = TypeVar("T")

# First words on every connection. The empty search_path keeps what a grantee may have planted in
# a schema from being called by the broker (PostgreSQL manual, "Writing SECURITY DEFINER Functions").
_SETTINGS = sql.SQL(
    "SET search_path = ''; SET statement_timeout = {statement};"
    " SET lock_timeout = {lock}; SET idle_in_transaction_session_timeout = {stalled}; "
)
# Asked at the beginning of every call, also on a connection that was kept: another server may be
# behind the address by now, and its clock goes on.
_GREETING = sql.SQL(
    "SELECT clock_timestamp() AS server_time,"
    " current_setting('server_version_num')::int AS version,"
    " (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,"
    " pg_is_in_recovery() AS standby"
)


Statement = LiteralString | sql.SQL | sql.Composed
Question = tuple[Statement, Mapping[str, object] | None]


@dataclass
class Session:
    """An open connection and what the server said about itself. Statements commit by themselves."""

    connection: "BoundedConnection"
    target: Target
    version: int
    system_identifier: str
    server_time: datetime
    clock_skew: timedelta
    standby: bool

    @property
    def has_membership_options(self) -> bool:
        return self.version >= MEMBERSHIP_OPTIONS_SINCE

    def rows(self, query: Statement, values: Mapping[str, object] | None = None) -> list[DictRow]:
        return self.connection.execute(query, values).fetchall()

    def row(self, query: Statement, values: Mapping[str, object] | None = None) -> DictRow:
        found = self.connection.execute(query, values).fetchone()
        if found is None:
            raise TargetRefused(f"{address(self.target)} gave no answer where there must be one.")
        return found

    def ask_all(self, questions: Sequence[Question]) -> list[list[DictRow]]:
        """Many statements in one round trip; the rows of each, none for a command."""
        with self.connection.pipeline():
            cursors = [self.connection.execute(query, values) for query, values in questions]
        return [cursor.fetchall() if cursor.description else [] for cursor in cursors]

    def run(self, statements: Sequence[sql.Composed]) -> None:
        """Statements without parameters, in one round trip and, outside a transaction, all or none."""
        if statements:
            self.connection.execute(sql.SQL("; ").join(statements))

    def check_server(self, system_identifier: str) -> None:
        """Refuse to touch a server other than the one meant."""
        if system_identifier and system_identifier != self.system_identifier:
            raise TargetMismatch(
                f"{address(self.target)} is another server than before (its system identifier is "
                f"{self.system_identifier}, expected {system_identifier}). Nothing was touched. "
                "Check the integration's address."
            )


class BoundedConnection(psycopg.Connection[DictRow]):
    """A connection that stops waiting when its time is up. A server that was stopped answers no
    timeout of its own, so the waiting itself is bounded."""

    target: Target
    opened_at: float
    budget_s: float
    give_up_at: float

    def give_time(self, target: Target, budget_s: float) -> None:
        """Everything from now on has to be done in this time."""
        self.target, self.budget_s = target, budget_s
        self.give_up_at = time.monotonic() + budget_s

    def wait(self, gen: PQGen[T], interval: float = _LOOK_UP_S, timeout: float | None = None) -> T:
        return super().wait(self._bounded(gen), interval, timeout)

    def _bounded(self, gen: PQGen[T]) -> PQGen[T]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if time.monotonic() > self.give_up_at:
                    raise TargetUnavailable(
                        f"{address(self.target)} stopped answering; the connection was cut after "
                        f"{self.budget_s:.0f} s. The portal attempts again."
                    )
                wanted = gen.send(ready)
        except StopIteration as done:
            return cast(T, done.value)


@contextmanager
def broker_session(
    target: Target,
    *,
    database: str | None = None,
    budget_s: float | None = None,
    anew: bool = False,
) -> Iterator[Session]:
    """A session as the broker. After `budget_s` it is given up, whatever it waits for.

    In a worker a connection that is kept from an earlier call is taken, unless it has to be `anew`.
    Raises only ConnectorError: the driver's errors are turned into sentences here.
    """
    name = check_name(database or target.database, "database")
    budget_s = budget_s or target.connect_timeout_s + 3 * target.statement_timeout_s
    session = None if anew else _take_up(target, name)
    connection = session.connection if session else _connect(target, name)
    connection.give_time(target, budget_s)
    try:
        yield session or _open(connection, target)
    except psycopg.Error as error:
        connection.close()
        raise query_failure(error, target) from None
    except (ValueError, TypeError, KeyError) as error:
        connection.close()
        raise TargetRefused(
            f"{address(target)} answered something unexpected ({type(error).__name__}). "
            "Check that it is a PostgreSQL server."
        ) from None
    except BaseException:
        connection.close()
        raise
    _put_down(target, name, connection)


def _take_up(target: Target, database: str) -> Session | None:
    """Greet the server over a kept connection. One that does not answer at once is forgotten."""
    place = target, database
    while connection := cast(BoundedConnection | None, idle_pool.connections.take(place)):
        connection.give_time(target, target.connect_timeout_s)
        try:
            return _greet(connection, target, _GREETING)
        except (psycopg.Error, ConnectorError):
            connection.close()
    return None


def _put_down(target: Target, database: str, connection: "BoundedConnection") -> None:
    """Keep a connection on which nothing is going on, and close any other.

    Not for ever: a broker password that was changed on the target shall be noticed. And only that of
    the maintenance database for long: one that is never left alone cannot be renamed or dropped.
    """
    idle_s = _IDLE_S if database == target.database else idle_pool.IDLE_S
    idle = connection.info.transaction_status == pq.TransactionStatus.IDLE
    young = time.monotonic() - connection.opened_at < _LONGEST_KEPT_S
    if not (
        idle and young and idle_pool.connections.give((target, database), connection, idle_s=idle_s)
    ):
        connection.close()


def conninfo_for(target: Target, database: str) -> str:
    """Explicit where libpq would otherwise look into the environment for a way to sign in."""
    if "," in target.host or "\x00" in f"{target.host}{target.password}{target.sslrootcert}":
        raise TargetRefused("The integration's address is not one host. Correct it.")
    parameters = {
        "host": target.host,
        "port": str(target.port),
        "dbname": database,
        "user": check_name(target.user, "broker role"),
        "password": target.password,
        "passfile": os.devnull,
        "sslmode": target.sslmode,
        "gssencmode": "disable",
        "connect_timeout": str(max(2, target.connect_timeout_s)),  # libpq takes 1 for 2
        "tcp_user_timeout": str(target.statement_timeout_s * 1000),
        "client_encoding": "UTF8",
        "application_name": "apono-portal",
    }
    if target.sslrootcert:
        parameters["sslrootcert"] = target.sslrootcert
    if pq.version() >= _REQUIRE_AUTH_SINCE:
        verified = target.sslmode == "verify-full"
        parameters["require_auth"] = "scram-sha-256,password" if verified else "scram-sha-256"
    return make_conninfo(**parameters)


def _connect(target: Target, database: str) -> BoundedConnection:
    try:
        connection = BoundedConnection.connect(
            conninfo_for(target, database),
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
        )
    except psycopg.Error as error:
        raise connect_failure(error, target, database) from None
    except (ValueError, OSError):
        raise TargetRefused("The integration's address cannot be used. Correct it.") from None
    connection.opened_at = time.monotonic()
    return connection


def _open(connection: BoundedConnection, target: Target) -> Session:
    settings = _SETTINGS.format(
        statement=sql.Literal(f"{target.statement_timeout_s}s"),
        lock=sql.Literal(f"{target.lock_timeout_s}s"),
        stalled=sql.Literal(f"{_STALLED_TRANSACTION_S}s"),
    )
    return _greet(connection, target, settings + _GREETING)


def _greet(
    connection: BoundedConnection, target: Target, greeting: sql.SQL | sql.Composed
) -> Session:
    before = datetime.now(UTC)
    cursor = connection.execute(greeting)
    after = datetime.now(UTC)
    while cursor.nextset():
        pass
    said = cursor.fetchone()
    if said is None or not isinstance(said["server_time"], datetime):
        raise TargetRefused(f"{address(target)} does not say who it is. Is it PostgreSQL?")
    if said["version"] < OLDEST_VERSION:
        raise TargetRefused(
            f"{address(target)} runs PostgreSQL {said['version'] // 10000}. "
            f"The portal needs {OLDEST_VERSION // 10000} or newer, better 16 or newer."
        )
    return Session(
        connection=connection,
        target=target,
        version=said["version"],
        system_identifier=said["system_identifier"],
        server_time=said["server_time"],
        clock_skew=said["server_time"] - (before + (after - before) / 2),
        standby=said["standby"],
    )
