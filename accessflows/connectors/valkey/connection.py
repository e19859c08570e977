"""The broker's connection to a server: bounded in time, its errors as sentences."""

import re
import ssl
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import valkey
from valkey.backoff import NoBackoff
from valkey.exceptions import (
    AuthenticationError,
    NoPermissionError,
    ValkeyError,
)
from valkey.exceptions import (
    ConnectionError as ConnectionFailed,
)
from valkey.exceptions import (
    TimeoutError as TimedOut,
)
from valkey.retry import Retry

from accessflows.connectors import idle_pool
from accessflows.connectors.errors import (
    ClockSkew,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.protocol import Target
from accessflows.connectors.tls import is_encrypted
from accessflows.connectors.valkey.names import Account, parse_account, server_id_in

MAX_CLOCK_SKEW = timedelta(seconds=30)

_USER = re.compile(r" user=(\S+)")


class Client(Protocol):
    """What is used of the library's client, which has no complete types."""

    def execute_command(self, *words: str) -> Any: ...

    def ping(self) -> Any: ...

    def close(self) -> None: ...


class Broker:
    """One connection as the broker, for one call of the connector."""

    def __init__(self, target: Target, client: "Client") -> None:
        self.target = target
        self._client = client

    def run(self, *words: str) -> Any:
        """Run one command and return its answer."""
        return self._client.execute_command(*words)

    def accounts(self) -> dict[str, Account]:
        return {one.name: one for one in map(parse_account, self.run("ACL", "LIST"))}

    def sessions_of(self, names: Sequence[str]) -> dict[str, int]:
        """Return the number of open sessions of each account."""
        numbers = dict.fromkeys(names, 0)
        for line in str(self.run("CLIENT", "LIST")).splitlines():
            user = _USER.search(line)
            if user and user[1] in numbers:
                numbers[user[1]] += 1
        return numbers

    def now(self) -> datetime:
        seconds, microseconds = self.run("TIME")
        return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(microseconds))

    def clock_skew(self) -> timedelta:
        """Return how far the server's clock is ahead. Raises ClockSkew if it is too much."""
        skew = self.now() - datetime.now(UTC)
        if abs(skew) > MAX_CLOCK_SKEW:
            raise ClockSkew(
                f"The target's clock differs from the portal's by {abs(skew).total_seconds():.0f} s. "
                "Synchronize both clocks (NTP), then try again."
            )
        return skew

    def version(self) -> str:
        facts = self.run("INFO", "server")
        return str(facts.get("valkey_version") or facts.get("redis_version") or "")

    def check_server(self, accounts: dict[str, Account], expected: str) -> str:
        """Return the server's name. Refuse to touch a server other than the one meant."""
        server_id = server_id_in(accounts.values())
        if not server_id:
            raise TargetMismatch(
                f"{address(self.target)} has no name by which the portal recognizes it. Nothing was "
                "touched. Run a check; it shows the command."
            )
        if expected and server_id != expected:
            raise TargetMismatch(
                f"{address(self.target)} is a different server than before (named {server_id}, "
                f"expected {expected}). Nothing was touched. Check the integration's address."
            )
        return server_id


def address(target: Target) -> str:
    return f"The target {target.host}:{target.port}"


@contextmanager
def connect_as_broker(target: Target) -> Iterator[Broker]:
    """Yield a connection, an idle one if there is, and keep it for the next call.

    The one that a worker keeps is the way in when grantees have filled all of the server's slots.
    """
    try:
        with _errors(target):
            key = ("valkey", target)
            client = _idle(key) or _connect(target)
            try:
                yield Broker(target, client)
            except BaseException:
                client.close()
                raise
            if not idle_pool.connections.release(key, client):
                client.close()
    except RecursionError:
        raise TargetRefused(f"{address(target)} sent an answer that can't be read.") from None


def _idle(key: Hashable) -> Client | None:
    """Return a connection of an earlier call that still answers."""
    idle = idle_pool.connections.acquire(key)
    if not isinstance(idle, valkey.Valkey):
        return None
    client: Client = idle
    try:
        client.ping()
    except (ConnectionFailed, TimedOut, OSError):
        return None
    return client


def _connect(target: Target) -> Client:
    options: dict[str, Any] = {}
    if is_encrypted(target):
        verified = target.sslmode != "require"
        options = {
            "ssl": True,
            "ssl_cert_reqs": "required" if verified else "none",
            "ssl_check_hostname": target.sslmode == "verify-full",
            "ssl_ca_data": target.ca_certificates or None,
            "ssl_min_version": ssl.TLSVersion.TLSv1_2,
        }
    client: Client = valkey.Valkey(
        host=target.host,
        port=target.port,
        username=target.user,
        password=target.password,
        socket_connect_timeout=target.connect_timeout_s,
        socket_timeout=target.statement_timeout_s,
        decode_responses=True,
        encoding_errors="replace",
        single_connection_client=True,
        retry=Retry(NoBackoff(), 1),
        **options,
    )
    return client


@contextmanager
def _errors(target: Target) -> Iterator[None]:
    """Turn the library's errors into sentences; their own text may hold what was sent."""
    try:
        yield
    except NoPermissionError:
        raise TargetRefused(
            f"{address(target)} refuses a command to the broker {target.user}. Run a check; it shows "
            "which one, and what to run."
        ) from None
    except AuthenticationError:
        raise TargetRefused(
            f"{address(target)} doesn't accept the broker {target.user} or its password."
        ) from None
    except (ConnectionFailed, TimedOut, OSError):
        raise TargetUnavailable(
            f"{address(target)} can't be reached, or doesn't answer in time. The portal will retry."
        ) from None
    except ValkeyError as error:
        if str(error).startswith("BUSY"):
            raise TargetUnavailable(
                f"{address(target)} is busy with a script. The portal will retry."
            ) from None
        raise TargetRefused(
            f"{address(target)} refused a command ({type(error).__name__})."
        ) from None


def may_sign_in(target: Target) -> bool:
    """Whether the server accepts these credentials, whatever they allow."""
    with _errors(target):
        try:
            _connect(target).close()
        except AuthenticationError:
            return False
        return True
