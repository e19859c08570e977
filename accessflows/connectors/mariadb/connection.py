"""The broker's connection to a server: bounded in time, its errors as sentences."""

import ssl
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pymysql
from pymysql.cursors import DictCursor

from accessflows.connectors import idle_pool
from accessflows.connectors.errors import (
    ClockSkew,
    ConnectorError,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.protocol import Target
from accessflows.connectors.tls import is_encrypted

Row = dict[str, Any]
MAX_CLOCK_SKEW = timedelta(seconds=30)

SIGN_IN_REFUSED = {1044, 1045, 1698, 4151}
BUSY = {1040, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1969, 4031}
NO_RIGHT = {1142, 1143, 1227, 1370, 1410, 1698}
CONNECTION_LOST = range(2000, 3000)
EXISTS_OR_MISSING = 1396  # CREATE, ALTER or DROP USER of an account that does or does not exist

_FACTS = "SELECT @@server_uid AS server_id, VERSION() AS version, UTC_TIMESTAMP(6) AS now"


class Broker:
    """One connection as the broker, for one call of the connector. Each statement commits by itself."""

    def __init__(self, target: Target, connection: "pymysql.Connection[DictCursor]") -> None:
        self.target = target
        self._connection = connection
        facts = self.rows(_FACTS)[0]
        self.server_id, self.version = str(facts["server_id"]), str(facts["version"])
        self.server_time: datetime = facts["now"].replace(tzinfo=UTC)
        self.clock_skew = self.server_time - datetime.now(UTC)

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, tuple(values) or None)
            return list(cursor.fetchall())

    def run(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run a statement and return how many rows it changed."""
        with self._connection.cursor() as cursor:
            return cursor.execute(statement, tuple(values) or None)

    def sessions_of(self, names: Sequence[str]) -> dict[str, int]:
        """Return the number of open sessions of each login."""
        numbers = dict.fromkeys(names, 0)
        query = "SELECT USER AS name, COUNT(*) AS number FROM information_schema.PROCESSLIST"
        if names:
            where = f"{query} WHERE USER IN ({placeholders(names)}) GROUP BY USER"
            numbers |= {row["name"]: int(row["number"]) for row in self.rows(where, names)}
        return numbers

    def check_server(self, expected: str) -> None:
        """Refuse to touch a server other than the one meant, or one that is not MariaDB."""
        if "mariadb" not in self.version.lower():
            raise TargetRefused(f"{address(self.target)} is not MariaDB but {self.version}.")
        if expected and expected != self.server_id:
            raise TargetMismatch(
                f"{address(self.target)} is a different server than before (server_uid "
                f"{self.server_id}, expected {expected}). Nothing was touched. Check the integration's "
                "address."
            )

    def check_clock(self) -> None:
        if abs(self.clock_skew) > MAX_CLOCK_SKEW:
            raise ClockSkew(
                f"The target's clock differs from the portal's by "
                f"{abs(self.clock_skew).total_seconds():.0f} s. Synchronize both clocks (NTP), then try "
                "again."
            )


def placeholders(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))


def address(target: Target) -> str:
    return f"The target {target.host}:{target.port}"


@contextmanager
def connect_as_broker(target: Target) -> Iterator[Broker]:
    """Yield a connection, an idle one if there is, and keep it for the next call."""
    key = ("mariadb", target)
    with _errors(target):
        connection = _idle(key) or connect(target)
        try:
            yield Broker(target, connection)
        except BaseException:
            connection.close()
            raise
        if not idle_pool.connections.release(key, connection):
            connection.close()


def _idle(key: Hashable) -> "pymysql.Connection[DictCursor] | None":
    """Return a connection of an earlier call that still answers."""
    connection = idle_pool.connections.acquire(key)
    if not isinstance(connection, pymysql.Connection):
        return None
    try:
        connection.ping(reconnect=False)
    except (pymysql.MySQLError, OSError):
        return None
    return connection


def connect(target: Target) -> "pymysql.Connection[DictCursor]":
    """Sign in as the target's user. Raises pymysql's own errors."""
    return pymysql.connect(
        host=target.host,
        port=target.port,
        user=target.user,
        password=target.password,
        ssl=_ssl_context(target),
        charset="utf8mb4",
        connect_timeout=target.connect_timeout_s,
        read_timeout=target.statement_timeout_s,
        write_timeout=target.statement_timeout_s,
        init_command=f"SET SESSION lock_wait_timeout = {int(target.lock_timeout_s)}",
        autocommit=True,
        cursorclass=DictCursor,
    )


def may_sign_in(target: Target) -> bool:
    """Whether the server accepts these credentials, whatever they allow."""
    try:
        connect(target).close()
    except pymysql.MySQLError as error:
        if code_of(error) in SIGN_IN_REFUSED:
            return False
        raise failure(target, error) from None
    return True


def _ssl_context(target: Target) -> ssl.SSLContext | None:
    if not is_encrypted(target):
        return None
    context = ssl.create_default_context(cadata=target.ca_certificates or None)
    context.check_hostname = target.sslmode == "verify-full"
    if target.sslmode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def _errors(target: Target) -> Iterator[None]:
    try:
        yield
    except pymysql.MySQLError as error:
        raise failure(target, error) from None
    except OSError:
        raise _unreachable(target) from None


def failure(target: Target, error: pymysql.MySQLError) -> ConnectorError:
    """Return an error as a sentence. Its own text may hold the statement, so only its number is kept."""
    code = code_of(error)
    if code in SIGN_IN_REFUSED:
        return TargetRefused(
            f"{address(target)} doesn't accept the account {target.user} or its password."
        )
    if code in NO_RIGHT:
        return TargetRefused(
            f"{address(target)} refuses a statement to the broker {target.user} (error {code}). Run a "
            "check; it shows which right is missing."
        )
    if code in BUSY:
        return TargetUnavailable(
            f"{address(target)} is busy (error {code}). The portal will retry."
        )
    if code in CONNECTION_LOST or code == 0:
        return _unreachable(target)
    return TargetRefused(f"{address(target)} refused a statement (error {code}).")


def _unreachable(target: Target) -> TargetUnavailable:
    return TargetUnavailable(
        f"{address(target)} can't be reached, or doesn't answer in time. The portal will retry."
    )


def code_of(error: pymysql.MySQLError) -> int:
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0
