"""The broker's connection to a target: bounded in time, wary of what is there, closed for sure."""

import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import psycopg
from psycopg import pq, sql
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

# First words on every connection. The empty search_path keeps what a grantee may have planted in
# a schema from being called by the broker (PostgreSQL manual, "Writing SECURITY DEFINER Functions").
_OPENING = sql.SQL(
    "SET search_path = ''; SET timezone = 'UTC'; SET statement_timeout = {statement};"
    " SET lock_timeout = {lock}; SET idle_in_transaction_session_timeout = {stalled};"
    " SELECT clock_timestamp() AS server_time,"
    " current_setting('server_version_num')::int AS version,"
    " (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,"
    " pg_is_in_recovery() AS standby"
)


Statement = LiteralString | sql.SQL | sql.Composed


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


@contextmanager
def broker_session(
    target: Target, *, database: str | None = None, budget_s: float | None = None
) -> Iterator[Session]:
    """A session as the broker. After `budget_s` the connection is cut, whatever it waits for.

    Raises only ConnectorError: the driver's errors are turned into sentences here.
    """
    name = check_name(database or target.database, "database")
    budget = budget_s or target.connect_timeout_s + 3 * target.statement_timeout_s
    connection = _connect(target, name)
    with connection, _cut_after(connection, budget) as was_cut:
        try:
            yield _open(connection, target)
        except psycopg.Error as error:
            if was_cut.is_set():
                raise TargetUnavailable(
                    f"{address(target)} stopped answering; the connection was cut after "
                    f"{budget:.0f} s. The portal tries again."
                ) from None
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


def _connect(target: Target, database: str) -> psycopg.Connection[DictRow]:
    try:
        return psycopg.connect(
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


@contextmanager
def _cut_after(
    connection: psycopg.Connection[DictRow], budget_s: float
) -> Iterator[threading.Event]:
    """Shut the socket down from outside when time is up: a stopped server answers no timeout.

    The duplicate keeps the descriptor ours, so that a number used again is never shut down.
    """
    was_cut = threading.Event()
    line = socket.socket(fileno=os.dup(connection.fileno()))

    def cut() -> None:
        was_cut.set()
        try:
            line.shutdown(socket.SHUT_RDWR)
        except OSError:  # the server was quicker
            return

    timer = threading.Timer(budget_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield was_cut
    finally:
        timer.cancel()
        timer.join()
        line.close()
