"""A portal of the campaign's own: database, two web processes, one worker, people and flows."""

import base64
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from apono_portal.demo.postgres_server import PostgresServer, available_versions
from bench.attack.browser import Browser
from bench.attack.people import SpentSteps
from bench.attack.target import BROKER, TargetSystem

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60


@dataclass
class Servers:
    """Two PostgreSQL servers: one keeps the portal's rows, one is the target."""

    home: Path
    portal: PostgresServer
    target: TargetSystem

    def create_database(self, name: str, template: str = "template0") -> None:
        with psycopg.connect(**self.portal.conninfo(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )

    def address_of(self, database: str) -> str:
        server = self.portal
        return f"postgres://{server.superuser}:{server.password}@{server.host}:{server.port}/{database}"


def end_tidily() -> None:
    """Being asked to end stops what was started, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start both servers in a folder that is gone afterwards. Nothing in them is worth a disk's wait."""
    home = Path(tempfile.mkdtemp(prefix="apono-attack-"))
    home.chmod(0o711)
    _version, bin_dir = max(available_versions().items())
    portal = PostgresServer(bin_dir, home / "portal", durable=False)
    target = PostgresServer(bin_dir, home / "target", durable=False)
    try:
        portal.start()
        target.start()
        system = TargetSystem(target)
        system.prepare()
        yield Servers(home, portal, system)
    finally:
        target.stop()
        portal.stop()
        for server in (portal, target):
            shutil.rmtree(server.home, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


@dataclass
class Portal:
    """One portal over one database. ``source`` is the tree it runs from: ours, or a broken copy."""

    servers: Servers
    database: str
    source: Path = ROOT
    keys: dict[str, str] = field(default_factory=lambda: dict(_new_keys()))
    people: dict[str, Any] = field(default_factory=dict)
    ports: list[int] = field(default_factory=list)
    spent: SpentSteps = field(default_factory=SpentSteps)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _ahead_s: float = 0.0

    @property
    def log_file(self) -> Path:
        return self.servers.home / f"{self.database}.log"

    @property
    def _clock_file(self) -> Path:
        return self.servers.home / f"{self.database}.clock"

    def create(self, accounts: int) -> None:
        """Make the database and fill it. The secrets stay in this process's memory."""
        self.servers.create_database(self.database)
        self._run("manage.py", "migrate", "--verbosity", "0")
        wanted = {
            "accounts": accounts,
            "host": self.servers.target.server.host,
            "port": self.servers.target.server.port,
            "broker": BROKER,
            "broker_password": self.servers.target.broker_password,
        }
        filled = self._run("-m", "bench.attack.fill", typed=json.dumps(wanted))
        self.people = json.loads(filled)

    def copy_to(self, database: str, source: Path) -> "Portal":
        """Return a portal with the same rows, keys and people, running from another tree."""
        self.servers.create_database(database, template=self.database)
        return Portal(self.servers, database, source, keys=self.keys, people=self.people)

    def start(self) -> None:
        self._clock_file.write_text("0")
        self.ports = [_free_port(), _free_port()]
        for port in self.ports:
            self._launch("-m", "gunicorn", "-c", "bench/attack/web.py", "-b", f"127.0.0.1:{port}",
                         "apono_portal.wsgi")  # fmt: skip
        self._launch("manage.py", "worker")
        for port in self.ports:
            self._wait_for(port)

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def browser(self, address: str = "127.0.0.1") -> Browser:
        return Browser(self.ports, address)

    @property
    def ahead_s(self) -> float:
        return self._ahead_s

    def now(self) -> float:
        """The time on the clock of the portal's web processes."""
        return time.time() + self._ahead_s

    def move_clock(self, seconds: float) -> None:
        self._ahead_s += seconds
        aside = self._clock_file.with_suffix(".new")
        aside.write_text(repr(self._ahead_s))
        aside.replace(self._clock_file)

    def _environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **self.keys,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self.source),
            "DJANGO_SETTINGS_MODULE": "bench.attack.settings",
            "DATABASE_URL": self.servers.address_of(self.database),
            "PORTAL_URL": "http://127.0.0.1",
            "PORTAL_ID": "attack",
            "WORKER_INTERVAL_S": "0.3",
            "LOG_LEVEL": "ERROR",
            "ATTACK_CLOCK": str(self._clock_file),
        }

    def _run(self, *arguments: str, typed: str | None = None) -> str:
        made = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.source,
            env=self._environment(),
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise SystemExit(f"{' '.join(arguments)} failed:\n{made.stderr[-3000:]}")
        return made.stdout

    def _launch(self, *arguments: str) -> None:
        with self.log_file.open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, *arguments],
                    cwd=self.source,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def _wait_for(self, port: int) -> None:
        give_up_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_at:
            if any(process.poll() is not None for process in self._processes):
                break
            try:
                if Browser([port]).get("/healthz").status == 200:
                    return
            except (OSError, HTTPException):  # nobody there, or our own call came back to us
                time.sleep(0.1)
        raise SystemExit(f"The portal did not start: {self.log_file.read_text()[-3000:]}")


def _new_keys() -> Iterator[tuple[str, str]]:
    yield "SECRET_KEY", secrets.token_urlsafe(64)
    yield "ENCRYPTION_KEYS", "a1:" + base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
