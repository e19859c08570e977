"""The broker's connection to a target: bounded in time, wary of what is there, closed for sure."""

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

from accessflows.connectors.errors import TargetMismatch, TargetRefused, TargetUnavailable
from accessflows.connectors.postgresql.failures import address, connect_failure, query_failure
from accessflows.connectors.postgresql.names import check_name
from accessflows.connectors.protocol import Target

OLDEST_VERSION = 150000
MEMBERSHIP_OPTIONS_SINCE = 160000  # GRANT role ... WITH INHERIT, SET, ADMIN
_REQUIRE_AUTH_SINCE = 160000  # libpq
_STALLED_TRANSACTION_S = 5
_LOOK_UP_S = 0.1  # how often a waiting connection looks at its clock

T = TypeVar("T")

# First words on every connection. The empty search_path keeps what a grantee may have planted in
# a schema from being called by the broker (PostgreSQL manual, "Writing SECURITY DEFINER Functions").
_OPENING = sql.SQL(
    "SET search_path = ''; SET statement_timeout = {statement};"
    " SET lock_timeout = {lock}; SET idle_in_transaction_session_timeout = {stalled};"
    " SELECT clock_timestamp() AS server_time,"
    " current_setting('server_version_num')::int AS version,"
    " (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,"
    " pg_is_in_recovery() AS standby"
)


Statement = LiteralString | sql.SQL | sql.Composed
Question = tuple[Statement, Mapping[str, object] | None]


@dataclass
class Session:
    """An open connection and what the server said about itself. Statements commit by themselves."""

    connection: psycopg.Connection[DictRow]
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
    budget_s: float
    give_up_at: float

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
                        f"{self.budget_s:.0f} s. The portal tries again."
                    )
                wanted = gen.send(ready)
        except StopIteration as done:
            return cast(T, done.value)


@contextmanager
def broker_session(
    target: Target, *, database: str | None = None, budget_s: float | None = None
) -> Iterator[Session]:
    """A session as the broker. After `budget_s` it is given up, whatever it waits for.

    Raises only ConnectorError: the driver's errors are turned into sentences here.
    """
    name = check_name(database or target.database, "database")
    connection = _connect(target, name)
    connection.target = target
    connection.budget_s = budget_s or target.connect_timeout_s + 3 * target.statement_timeout_s
    connection.give_up_at = time.monotonic() + connection.budget_s
    with connection:
        try:
            yield _open(connection, target)
        except psycopg.Error as error:
            raise query_failure(error, target) from None
        except (ValueError, TypeError, KeyError) as error:
            raise TargetRefused(
                f"{address(target)} answered something unexpected ({type(error).__name__}). "
                "Check that it is a PostgreSQL server."
            ) from None


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
        return BoundedConnection.connect(
            conninfo_for(target, database),
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
        )
    except psycopg.Error as error:
        raise connect_failure(error, target, database) from None
    except (ValueError, OSError):
        raise TargetRefused("The integration's address cannot be used. Correct it.") from None


def _open(connection: psycopg.Connection[DictRow], target: Target) -> Session:
    opening = _OPENING.format(
        statement=sql.Literal(f"{target.statement_timeout_s}s"),
        lock=sql.Literal(f"{target.lock_timeout_s}s"),
        stalled=sql.Literal(f"{_STALLED_TRANSACTION_S}s"),
    )
    before = datetime.now(UTC)
    cursor = connection.execute(opening)
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
