"""The broker's connection to a target: bounded in time, and replaced after an error."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString, TypeVar, cast

import psycopg
import structlog
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
from accessflows.connectors.postgresql.certificate_file import certificate_file
from accessflows.connectors.postgresql.errors import (
    WILL_RETRY,
    address,
    connect_failure,
    query_failure,
)
from accessflows.connectors.postgresql.names import check_name
from accessflows.connectors.postgresql.settings import maintenance_database
from accessflows.connectors.protocol import Target

MIN_VERSION = 150000
MEMBERSHIP_OPTIONS_SINCE = 160000  # GRANT role ... WITH INHERIT, SET, ADMIN
_REQUIRE_AUTH_SINCE = 160000  # libpq
_SYSTEM_CERTIFICATES_SINCE = 160000  # libpq
_STALLED_TRANSACTION_S = 5
APPLICATION_NAME = "apono-portal"
_MAX_AGE_S = 300.0
_REPLACEMENT_RETRY_S = 30.0
_IDLE_S = 150.0  # longer than the interval between two scans of a target
MAX_KEPT_DATABASES = 8  # by each worker, besides the maintenance database
_POLL_S = 0.1  # how often a waiting connection checks its deadline

T = TypeVar("T")

log = structlog.get_logger(__name__)

# The first statements on every connection. With an empty search_path the broker never calls what a grantee
# may have planted in a schema (PostgreSQL manual, "Writing SECURITY DEFINER Functions Safely").
_SETTINGS = sql.SQL(
    "SET search_path = ''; SET statement_timeout = {statement};"
    " SET lock_timeout = {lock}; SET idle_in_transaction_session_timeout = {stalled}; "
)
# Run at the start of every call, also on a pooled connection: the address may lead to another server by
# now, and the clock moves on.
_IDENTIFY = sql.SQL(
    "SELECT clock_timestamp() AS server_time,"
    " current_setting('server_version_num')::int AS version,"
    " (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,"
    " pg_is_in_recovery() AS standby"
)

_END_STALLED = sql.SQL(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user"
    " AND application_name = %(name)s AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
    " AND wait_event = 'ClientRead' AND state_change < clock_timestamp() - make_interval(secs => %(stalled_s)s)"
)

Statement = LiteralString | sql.SQL | sql.Composed
Query = tuple[Statement, Mapping[str, object] | None]
Key = tuple[Target, str, bool]  # target, database, whether it is for what is urgent


@dataclass
class BrokerConnection:
    """An open connection and what the server reported about itself. Statements commit one by one."""

    raw: "BoundedConnection"
    target: Target
    version: int
    system_identifier: str
    server_time: datetime
    clock_skew: timedelta
    standby: bool

    @property
    def has_membership_options(self) -> bool:
        return self.version >= MEMBERSHIP_OPTIONS_SINCE

    @property
    def broken(self) -> bool:
        return self.raw.broken

    def transaction(self) -> AbstractContextManager[psycopg.Transaction]:
        return self.raw.transaction()

    def execute(
        self, query: Statement | bytes, values: Mapping[str, object] | None = None
    ) -> psycopg.Cursor[DictRow]:
        return self.raw.execute(query, values)

    def rows(self, query: Statement, values: Mapping[str, object] | None = None) -> list[DictRow]:
        return self.execute(query, values).fetchall()

    def row(self, query: Statement, values: Mapping[str, object] | None = None) -> DictRow:
        row = self.execute(query, values).fetchone()
        if row is None:
            raise TargetRefused(f"{address(self.target)} returned no row where one is required.")
        return row

    def pipeline(self, queries: Sequence[Query]) -> list[list[DictRow]]:
        """Run many statements in one round trip, and return the rows of each, none for a command."""
        with self.raw.pipeline():
            cursors = [self.execute(query, values) for query, values in queries]
        return [cursor.fetchall() if cursor.description else [] for cursor in cursors]

    def run(self, statements: Sequence[sql.Composed]) -> None:
        """Run statements in one round trip; outside a transaction, all or none take effect."""
        if statements:
            self.execute(sql.SQL("; ").join(statements))

    def check_server(self, system_identifier: str) -> None:
        """Refuse to touch a server other than the one meant."""
        if system_identifier and system_identifier != self.system_identifier:
            raise TargetMismatch(
                f"{address(self.target)} is a different server than before (system identifier "
                f"{self.system_identifier}, expected {system_identifier}). Nothing was touched. "
                "Check the integration's address."
            )


class BoundedConnection(psycopg.Connection[DictRow]):
    """A connection that stops waiting when its time is up. A stopped server honors none of its own
    timeouts, so the waiting itself is bounded."""

    target: Target
    opened_at: float
    budget_s: float
    give_up_at: float

    def set_budget(self, target: Target, budget_s: float) -> None:
        """Give up if what follows takes longer than this."""
        self.target, self.budget_s = target, budget_s
        self.give_up_at = time.monotonic() + budget_s

    def wait(self, gen: PQGen[T], interval: float = _POLL_S, timeout: float | None = None) -> T:
        return super().wait(self._bounded(gen), interval, timeout)

    def _bounded(self, gen: PQGen[T]) -> PQGen[T]:
        try:
            state = next(gen)
            while True:
                ready = yield state
                if time.monotonic() > self.give_up_at:
                    raise TargetUnavailable(
                        f"{address(self.target)} stopped responding; the connection was closed after "
                        f"{self.budget_s:.0f} s. {WILL_RETRY}"
                    )
                state = gen.send(ready)
        except StopIteration as done:
            return cast(T, done.value)


@contextmanager
def connect_as_broker(
    target: Target,
    *,
    database: str | None = None,
    budget_s: float | None = None,
    fresh: bool = False,
    urgent: bool = False,
) -> Iterator[BrokerConnection]:
    """Connect to the target as the broker. After `budget_s` it gives up, whatever it waits for.

    A worker reuses a pooled connection, unless it must be `fresh`; what is `urgent` has one of its own.
    Raises only ConnectorError: the driver's errors become sentences here.
    """
    name = check_name(database or maintenance_database(target), "database")
    budget_s = budget_s or target.connect_timeout_s + 3 * target.statement_timeout_s
    key = target, name, urgent
    pooled = None if fresh else _from_pool(key)
    raw = pooled.raw if pooled else _connect(target, name)
    raw.set_budget(target, budget_s)
    try:
        yield pooled or _identify(raw, target, _settings(target) + _IDENTIFY)
    except psycopg.Error as error:
        _to_pool(key, raw, failed=True)
        raise query_failure(error, target) from None
    except (ValueError, TypeError, KeyError) as error:
        raw.close()
        raise TargetRefused(
            f"{address(target)} returned something unexpected ({type(error).__name__}). "
            "Check that it is a PostgreSQL server."
        ) from None
    except BaseException:
        _to_pool(key, raw, failed=True)
        raise
    _to_pool(key, raw)


def keep_connections(target: Target, databases: Iterable[str]) -> None:
    """Keep a connection to each database open for what is urgent, so that a full target cannot delay it.

    Sessions are terminated over the one to the maintenance database, which comes first; prepared
    transactions can only be rolled back in their own. Called again within ``_IDLE_S``; outside a worker it
    only connects. One that fails does not stop the others.
    """
    failure: ConnectorError | None = None
    others = sorted(set(databases) - {maintenance_database(target)})[:MAX_KEPT_DATABASES]
    for database in [maintenance_database(target), *others]:
        try:
            with connect_as_broker(target, database=database, urgent=True) as connection:
                if database == maintenance_database(target):
                    _end_stalled_transactions(connection)
        except ConnectorError as error:
            failure = failure or error
    if failure:
        raise failure


def _end_stalled_transactions(connection: BrokerConnection) -> None:
    """End the broker's own transactions whose client is suspended: their locks would stop activations.

    The server does it by itself, but not after a pipeline, whose last message stops the timer.
    """
    values = {"name": APPLICATION_NAME, "stalled_s": 3 * _STALLED_TRANSACTION_S}
    if ended := connection.rows(_END_STALLED, values):
        log.warning("stalled_transactions_ended", number=len(ended))


def _from_pool(key: Key) -> BrokerConnection | None:
    """Identify the server over a pooled connection. One that does not answer at once is closed.

    What is urgent also takes a connection of others.
    """
    target, database, _ = key
    pool = idle_pool.connections
    other = target, database, False
    while raw := cast(BoundedConnection | None, pool.acquire(key) or pool.acquire(other)):
        raw.set_budget(target, target.connect_timeout_s)
        try:
            return _identify(raw, target, _IDENTIFY)
        except (psycopg.Error, ConnectorError):
            raw.close()
    return None


def _to_pool(key: Key, raw: "BoundedConnection", *, failed: bool = False) -> None:
    """Keep a connection that is open and on which nothing is running.

    After a failure, and from time to time, it is replaced. Only those for what is urgent or to the
    maintenance database stay idle for long: a database in use cannot be renamed or dropped.
    """
    target, database, urgent = key
    pool = idle_pool.connections
    status = raw.info.transaction_status
    if not pool.is_enabled or status in {pq.TransactionStatus.ACTIVE, pq.TransactionStatus.UNKNOWN}:
        raw.close()
        return
    young = time.monotonic() - raw.opened_at < _MAX_AGE_S
    if failed or not young or status != pq.TransactionStatus.IDLE:
        raw = _replace(target, database, raw)
    is_kept = urgent or database == maintenance_database(target)
    idle_s = _IDLE_S if is_kept else idle_pool.IDLE_SECONDS
    if not pool.release(key, raw, idle_s=idle_s):
        raw.close()


def _replace(target: Target, database: str, old: "BoundedConnection") -> "BoundedConnection":
    """Open a new connection before the old one is closed, or somebody else could take its slot.

    If none can be opened, the old one is kept: it may be the only way to end access.
    """
    try:
        new = _connect(target, database)
        new.set_budget(target, target.connect_timeout_s)
        new.execute(_settings(target))
    except (psycopg.Error, ConnectorError):
        old.opened_at = time.monotonic() - _MAX_AGE_S + _REPLACEMENT_RETRY_S
        old.set_budget(target, target.connect_timeout_s)
        with suppress(psycopg.Error, ConnectorError):
            old.rollback()
            old.execute("RESET ROLE")
        return old
    old.close()
    return new


def conninfo_for(target: Target, database: str) -> str:
    """Return the connection string, explicit wherever libpq would otherwise read the environment."""
    if "," in target.host or "\x00" in f"{target.host}{target.password}":
        raise TargetRefused("The integration's address is not a single host. Correct it.")
    parameters = {
        "host": target.host,
        "port": str(target.port),
        "dbname": database,
        "user": check_name(target.user, "broker role"),
        "password": target.password,
        "passfile": os.devnull,
        "sslmode": target.sslmode,
        "gssencmode": "disable",
        "connect_timeout": str(max(2, target.connect_timeout_s)),  # libpq treats 1 as 2
        "tcp_user_timeout": str(target.statement_timeout_s * 1000),
        "client_encoding": "UTF8",
        "application_name": APPLICATION_NAME,
    }
    verified = target.sslmode == "verify-full"
    if target.ca_certificates:
        parameters["sslrootcert"] = certificate_file(target.ca_certificates)
    elif verified and pq.version() >= _SYSTEM_CERTIFICATES_SINCE:
        parameters["sslrootcert"] = "system"
    if pq.version() >= _REQUIRE_AUTH_SINCE:
        parameters["require_auth"] = "scram-sha-256,password" if verified else "scram-sha-256"
    return make_conninfo(**parameters)


def _connect(target: Target, database: str) -> BoundedConnection:
    try:
        raw = BoundedConnection.connect(
            conninfo_for(target, database),
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
        )
    except psycopg.Error as error:
        raise connect_failure(error, target, database) from None
    except (ValueError, OSError):
        raise TargetRefused("The integration's address is invalid. Correct it.") from None
    raw.opened_at = time.monotonic()
    return raw


def _settings(target: Target) -> sql.Composed:
    return _SETTINGS.format(
        statement=sql.Literal(f"{target.statement_timeout_s}s"),
        lock=sql.Literal(f"{target.lock_timeout_s}s"),
        stalled=sql.Literal(f"{_STALLED_TRANSACTION_S}s"),
    )


def _identify(
    raw: BoundedConnection, target: Target, statements: sql.SQL | sql.Composed
) -> BrokerConnection:
    before = datetime.now(UTC)
    cursor = raw.execute(statements)
    after = datetime.now(UTC)
    while cursor.nextset():
        pass
    facts = cursor.fetchone()
    if facts is None or not isinstance(facts["server_time"], datetime):
        raise TargetRefused(f"{address(target)} did not identify itself. Is it PostgreSQL?")
    if facts["version"] < MIN_VERSION:
        raise TargetRefused(
            f"{address(target)} runs PostgreSQL {facts['version'] // 10000}. "
            f"The portal needs {MIN_VERSION // 10000} or newer; 16 or newer is recommended."
        )
    return BrokerConnection(
        raw=raw,
        target=target,
        version=facts["version"],
        system_identifier=facts["system_identifier"],
        server_time=facts["server_time"],
        clock_skew=facts["server_time"] - (before + (after - before) / 2),
        standby=facts["standby"],
    )
