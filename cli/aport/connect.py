"""Connecting with a credential that is in the environment of one process, and nowhere else."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aport.client import Client
from aport.errors import NOT_GRANTED, TIMED_OUT, CommandError, VerificationNeeded
from aport.output import say, show_link

POLL_S = 2.0
ENCRYPTED = {"require", "verify-ca", "verify-full"}
PENDING = {"pending_mfa", "pending_approval", "scheduled", "granting"}
Json = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """The client of a kind of target. The password is in the environment, never in the options.

    `files` are for a client that reads its secret from a file. They are in a private folder while it runs,
    and "{folder}" in its options stands for that.
    """

    names: tuple[str, ...]
    options: Callable[[Json], list[str]]
    environment: Callable[[Json], dict[str, str]]
    files: Callable[[Json], dict[str, str]] = lambda credential: {}


def _tls(credential: Json, option: str) -> list[str]:
    return [option] if credential["sslmode"] in ENCRYPTED else []


def _libpq(credential: Json) -> dict[str, str]:
    """Return the environment of psql (PostgreSQL manual: libpq environment variables)."""
    return {
        "PGHOST": credential["host"],
        "PGPORT": str(credential["port"]),
        "PGDATABASE": credential["database"],
        "PGUSER": credential["user"],
        "PGPASSWORD": credential["password"],
        "PGSSLMODE": credential["sslmode"],
    }


def _mariadb(credential: Json) -> list[str]:
    where = [f"--host={credential['host']}", f"--port={credential['port']}", "--protocol=tcp"]
    who = [f"--user={credential['user']}", f"--database={credential['database']}"]
    return [*where, *who, *_tls(credential, "--ssl")]


def _valkey(credential: Json) -> list[str]:
    where = ["-h", credential["host"], "-p", str(credential["port"])]
    return [*where, "--user", credential["user"], *_tls(credential, "--tls")]


def _ssh(credential: Json) -> list[str]:
    """Return ssh's options. It uses this key and no other, and no host but the one the portal knows."""
    options = {
        "IdentityFile": "{folder}/key",
        "CertificateFile": "{folder}/key-cert.pub",
        "UserKnownHostsFile": "{folder}/known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UpdateHostKeys": "no",
        "ControlMaster": "no",
        "ControlPath": "none",
        "PreferredAuthentications": "publickey",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    where = ["-p", str(credential["port"]), "-l", credential["user"], "--", credential["host"]]
    return ["-F", "/dev/null", *words, *where]


def _ssh_files(credential: Json) -> dict[str, str]:
    return {
        "key": credential["password"],
        "key-cert.pub": credential["certificate"] + "\n",
        "known_hosts": credential["known_hosts"],
    }


PROGRAMS = {
    "postgresql": Program(("psql",), lambda credential: [], _libpq),
    "mariadb": Program(
        ("mariadb", "mysql"), _mariadb, lambda credential: {"MYSQL_PWD": credential["password"]}
    ),
    "valkey": Program(
        ("valkey-cli", "redis-cli"),
        _valkey,
        lambda credential: {"REDISCLI_AUTH": credential["password"]},
    ),
    "linux": Program(("ssh",), _ssh, lambda credential: {}, _ssh_files),
}


def wait_until_active(client: Client, request_id: int, timeout_s: float) -> Json:
    """Return the request once it is active, saying what it waits for."""
    status, give_up_at = "", time.monotonic() + timeout_s
    while True:
        request = client.get(f"/requests/{request_id}")
        if request["status"] == "active":
            return request
        if request["status"] not in PENDING:
            reason = f" {request['message']}" if request["message"] else ""
            raise CommandError(
                f"{request['reference']} is {request['status']}.{reason}", NOT_GRANTED
            )
        if request["status"] != status:
            status = request["status"]
            _say_what_it_waits_for(request)
        if time.monotonic() > give_up_at:
            raise CommandError(f"{request['reference']} is still {status}.", TIMED_OUT)
        time.sleep(POLL_S)


def _say_what_it_waits_for(request: Json) -> None:
    reference = request["reference"]
    if request["status"] == "pending_mfa":
        say(f"{reference} requires MFA. Verify in your browser:")
        show_link(request["step_up_url"])
    elif request["status"] == "pending_approval":
        say(f"{reference} is waiting for approval.")
    else:
        say(f"{reference}: access is being provisioned.")


def connect(client: Client, grant: Json, arguments: Sequence[str], timeout_s: float) -> int:
    """Reveal the grant's credential and run the target's client with it. Returns its exit code."""
    program = PROGRAMS.get(grant["integration_kind"])
    if program is None:
        raise CommandError(f"aport cannot connect to {grant['integration_kind'] or 'this target'}.")
    path = next(filter(None, map(shutil.which, program.names)), None)
    if path is None:
        raise CommandError(f"{program.names[0]} is not installed.")
    action = "reveal" if grant["can_reveal"] else "reset"
    credential = _with_confirmation(
        lambda: client.post(f"/access/{grant['id']}/{action}"), timeout_s
    )
    with tempfile.TemporaryDirectory(prefix="aport-") as folder:  # readable by this user alone
        for name, text in program.files(credential).items():
            _write_private(Path(folder, name), text)
        options = [word.replace("{folder}", folder) for word in program.options(credential)]
        return _run([path, *options, *arguments], _inherited() | program.environment(credential))


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _with_confirmation(call: Callable[[], Json], timeout_s: float) -> Json:
    """Call until the user has confirmed in a browser, if the portal wants that."""
    url, give_up_at = "", time.monotonic() + timeout_s
    while True:
        try:
            return call()
        except VerificationNeeded as needed:
            if needed.url != url:
                url = needed.url
                say("This access requires MFA. Confirm in your browser:")
                show_link(url)
            if time.monotonic() > give_up_at:
                raise
        time.sleep(POLL_S)


def _inherited() -> dict[str, str]:
    """Return the environment without the token, and without what would change the connection."""
    left_out = ("PG", "MYSQL_", "REDISCLI_", "VALKEYCLI_", "APORT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run a program in this terminal. Ctrl-C is for the program."""
    sys.stdout.flush()
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
    finally:
        signal.signal(signal.SIGINT, previous)
