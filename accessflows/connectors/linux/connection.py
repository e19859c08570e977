"""The broker's connection to a host: OpenSSH's client as a child process, bounded in time.

It trusts the one host key of the integration, reads no configuration of this machine, and its key is in a
private folder until it has signed in.
"""

import json
import os
import re
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, cast

from accessflows.connectors import idle_pool
from accessflows.connectors.errors import (
    ClockSkew,
    ConnectorError,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.linux.keys import broker_key, parse_host_key, private_text
from accessflows.connectors.linux.settings import LinuxSettings
from accessflows.connectors.protocol import Target

MAX_CLOCK_SKEW = timedelta(seconds=30)
MAX_SERVER_ID_LENGTH = 32
MAX_ANSWER = 4_000_000
ANSWER_S = 30  # the host program takes 5 s to kill what resists, and some for each account
BROKER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "GlobalKnownHostsFile": "/dev/null",
    "UpdateHostKeys": "no",
    "CheckHostIP": "no",
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    "PreferredAuthentications": "publickey",
    "ConnectionAttempts": "1",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "2",
    "ControlMaster": "no",
    "ControlPath": "none",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "PermitLocalCommand": "no",
    "EscapeChar": "none",
    "LogLevel": "ERROR",
}
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
REVOKED = "The grant has expired or was revoked. Make a new request."
_SENTENCES = {
    "stranger": (
        "An account of this name or user ID exists that the portal did not create for this grant. It was not "
        "touched. Find out who created it."
    ),
    "revoked": REVOKED,
    "expired": REVOKED,
    "extended": "This grant was activated and extended meanwhile. Nothing was changed.",
    "changed": "The end of this account was changed on the host by hand.",
    "no_permission": "The host's permissions.conf has no such permission. Choose another.",
    "in_use": "The account is still in use. Contain the grant first.",
    "uids": "All user IDs for grants are taken on the host. Remove old accounts.",
    "config": "The host's permissions.conf can't be read. Correct it on the host.",
    "invalid": "The host program does not know this request. Install the portal's version on the host.",
}
_MISMATCHES = {"stranger"}
OTHER_KEY = (
    "{} has another key than the integration's Host key. Nothing was sent to it. If the key was replaced on "
    "purpose, enter the new one."
)
NOT_ACCEPTED = "{} doesn't accept the broker {user}. Run the set-up on the host."
_HINTS = (
    ("host key verification failed", TargetMismatch, OTHER_KEY),
    ("permission denied", TargetRefused, NOT_ACCEPTED),
)


class Host:
    """One connection, for one call of the connector after another."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._unread = b""
        with tempfile.TemporaryDirectory(prefix="apono-ssh-") as folder:  # until it has signed in
            self._process = _start(ssh_command(target, Path(folder)))
            try:
                self.refresh()
            except BaseException:
                self.close()
                raise

    def call(self, verb: str, **values: object) -> dict[str, Any]:
        """Send one request and return its answer. Raises the error that a refusal stands for."""
        return self._call({"verb": verb, **values}, ANSWER_S)

    def refresh(self) -> None:
        """Read again which host this is, what it offers and its time."""
        seconds = self.target.connect_timeout_s + self.target.statement_timeout_s
        self.facts = self._call({"verb": "hello"}, seconds)

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):
                cast(IO[bytes], pipe).close()
        self._process.wait()

    @property
    def server_id(self) -> str:
        return str(self.facts["server_id"])[:MAX_SERVER_ID_LENGTH]

    def now(self) -> datetime:
        return time_of(self.facts["now"])

    def clock_skew(self) -> timedelta:
        """Return how far the host's clock is ahead. Raises ClockSkew if it is too much."""
        skew = self.now() - datetime.now(UTC)
        if abs(skew) > MAX_CLOCK_SKEW:
            raise ClockSkew(
                f"The host's clock differs from the portal's by {abs(skew).total_seconds():.0f} s. "
                "Synchronize both clocks (NTP), then try again."
            )
        return skew

    def check_server(self, expected: str) -> str:
        """Return the host's name for itself. Refuse to touch a host other than the one meant."""
        if expected and self.server_id != expected:
            raise TargetMismatch(
                f"{address(self.target)} is a different host than before (named {self.server_id}, expected "
                f"{expected}). Nothing was touched. Check the integration's address."
            )
        return self.server_id

    def _call(self, request: Mapping[str, object], timeout_s: float) -> dict[str, Any]:
        try:
            requests = cast(IO[bytes], self._process.stdin)
            requests.write(json.dumps(request).encode() + b"\n")
            requests.flush()
            answer = json.loads(self._read_line(time.monotonic() + timeout_s))
        except (OSError, ValueError, RecursionError):
            raise self._failure() from None
        if not isinstance(answer, dict):
            raise TargetRefused(f"{address(self.target)} sent an answer that can't be read.")
        if answer.get("ok") is not True:
            raise refusal(self.target, str(answer.get("code")))
        return answer

    def _read_line(self, give_up_at: float) -> bytes:
        """Return one line. Raises OSError if the connection ends, or if it takes too long."""
        answers = cast(IO[bytes], self._process.stdout).fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(answers, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(give_up_at - time.monotonic(), 0)):
                    raise TimeoutError
                part = os.read(answers, 65536)
                if not part or len(self._unread) > MAX_ANSWER:
                    raise ConnectionError
                self._unread += part
        line, self._unread = self._unread.split(b"\n", 1)
        return line

    def _failure(self) -> ConnectorError:
        """Return why the connection failed, from what ssh reported. Its own text is not shown."""
        self._process.kill()
        self._process.wait()
        report = os.read(cast(IO[bytes], self._process.stderr).fileno(), 20_000)
        text = report.decode(errors="replace").lower()
        for hint, error, sentence in _HINTS:
            if hint in text:
                return error(sentence.format(address(self.target), user=self.target.user))
        return TargetUnavailable(f"{address(self.target)} can't be reached. The portal will retry.")


def _start(command: list[str]) -> "subprocess.Popen[bytes]":
    """Start ssh without this process's environment, and out of the reach of its terminal."""
    return subprocess.Popen(  # noqa: S603  ssh, with arguments of our own
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        start_new_session=True,
    )


def ssh_command(target: Target, folder: Path) -> list[str]:
    """Return the command that runs the host program, and write the key and known_hosts it needs."""
    host_key = parse_host_key(target.settings_as(LinuxSettings).host_key)
    if host_key is None:
        raise TargetRefused("The integration's Host key is not a public key. Enter it again.")
    if not BROKER.fullmatch(target.user) or target.host.startswith("-"):
        raise TargetRefused("The broker's name or the host can't be used with ssh. Correct it.")
    write_private(folder / "known_hosts", host_key.known_hosts(target.host, target.port))
    write_private(folder / "key", private_text(broker_key(target.password)))
    options = OPTIONS | {
        "ConnectTimeout": str(target.connect_timeout_s),
        "UserKnownHostsFile": str(folder / "known_hosts"),
        "IdentityFile": str(folder / "key"),
        "HostKeyAlgorithms": host_key.algorithms,
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    where = ["-p", str(target.port), "-l", target.user]
    return [ssh_path(), "-T", "-F", "/dev/null", *words, *where, "--", target.host]


def ssh_path() -> str:
    path = shutil.which("ssh")
    if path is None:
        raise TargetRefused("OpenSSH's client (ssh) is not installed on the portal's machine.")
    return path


def write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def refusal(target: Target, code: str) -> ConnectorError:
    """Return the error of a code of the host program. What else it says is not shown."""
    if code not in _SENTENCES:
        return TargetUnavailable(
            f"{address(target)} could not carry it out. The portal will retry."
        )
    error = TargetMismatch if code in _MISMATCHES else TargetRefused
    return error(_SENTENCES[code])


def time_of(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 2**33:
        raise TargetRefused("The host sent a time that can't be read.")
    return datetime.fromtimestamp(value, UTC)


def address(target: Target) -> str:
    return f"The host {target.host}:{target.port}"


@contextmanager
def connect_as_broker(target: Target) -> Iterator[Host]:
    """Yield a connection, an idle one if there is, and keep it for the next call.

    The one that a worker keeps is the way in when a grantee occupies all of sshd's slots.
    """
    key = ("linux", target)
    host = _idle(key) or Host(target)
    try:
        yield host
    except (TargetMismatch, TargetRefused):
        if not idle_pool.connections.release(key, host):
            host.close()
        raise
    except (KeyError, TypeError, AttributeError, ValueError):
        host.close()
        raise TargetRefused(f"{address(target)} sent an answer that can't be read.") from None
    except BaseException:
        host.close()
        raise
    if not idle_pool.connections.release(key, host):
        host.close()


def _idle(key: tuple[str, Target]) -> Host | None:
    """Return a connection of an earlier call that still answers."""
    idle = idle_pool.connections.acquire(key)
    if not isinstance(idle, Host):
        return None
    try:
        idle.refresh()
    except ConnectorError:
        idle.close()
        return None
    return idle
