"""One durable PostgreSQL, the databases on it, and servers of web processes whose cost is read."""

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
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from apono_portal.demo.parent import ending_with_parent
from apono_portal.demo.postgres_server import PostgresServer, available_versions

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
READY_WITHIN_S = 60
WEB_PROCESSES, WEB_THREADS = 2, 4
# A server of its own kind for a small machine; what makes a commit safe stays on.
SERVER_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "8GB",
    "max_connections": "200",
}
PORTAL, FLOOR = "apono_portal.wsgi:application", "bench.speed.floor.wsgi:application"


@dataclass
class Ground:
    """The server of one run and what was started on it. All of it is gone afterwards."""

    home: Path
    server: PostgresServer
    keys: dict[str, str] = field(default_factory=lambda: dict(_new_keys()))

    def environment(self, database: str, **more: str) -> dict[str, str]:
        server = self.server
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **self.keys,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": f"postgres://{server.superuser}:{server.password}@{server.host}:{server.port}/{database}",
            "PORTAL_URL": f"http://{HOST}",
            "PORTAL_ID": "bench",
            "STATIC_ROOT": str(self.home / "static"),
            "LOG_LEVEL": "WARNING",
            **more,
        }

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(**self.server.conninfo(database), autocommit=True)

    def create_database(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def drop_database(self, name: str) -> None:
        with self.connect() as connection:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))

    def run(self, database: str, *arguments: str, typed: str | None = None, **more: str) -> str:
        """Run Python with the portal's environment and return what it prints."""
        made = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment(database, **more),
            input=typed,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if made.returncode:
            raise SystemExit(f"{' '.join(arguments)} failed.")
        return made.stdout

    def new_portal(self, database: str) -> None:
        """Make a database with the portal's tables; collect its static files once."""
        self.create_database(database)
        self.run(database, "manage.py", "migrate", "--verbosity=0", DJANGO_SETTINGS_MODULE="apono_portal.settings")  # fmt: skip
        if not (self.home / "static").exists():
            self.run(database, "manage.py", "collectstatic", "--noinput", "--verbosity=0")

    def new_floor(self, database: str, people: int) -> list[dict[str, Any]]:
        """Make a database with the floor's tables and people who are signed in."""
        self.create_database(database)
        settings = "bench.speed.floor.settings"
        for more in ((), ("--run-syncdb",)):  # the floor's own tables refer to the others
            self.run(database, "-m", "django", "migrate", "--verbosity=0", *more, DJANGO_SETTINGS_MODULE=settings)  # fmt: skip
        filled = self.run(
            database, "-m", "bench.speed.floor.fill", str(people), DJANGO_SETTINGS_MODULE=settings
        )
        found: list[dict[str, Any]] = json.loads(filled)
        return found

    def settle(self, database: str) -> None:
        """Give the planner its statistics, and the disk its pages, before anything is measured."""
        with self.connect(database) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")

    def database_cpu_s(self) -> float:
        """CPU of the database server's live processes."""
        return sum(cpu_s_of(pid) for pid in descendants_of(self.server.pid or 0))


@dataclass
class Processes:
    """Some processes of one kind: web servers or workers."""

    log: Path
    environment: Mapping[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def launch(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=ending_with_parent(signal.SIGTERM),
            )
        self.running.append(process)
        return process

    def stop(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()

    @property
    def pids(self) -> list[int]:
        """The processes and all they started."""
        return [
            pid for process in self.running for pid in [process.pid, *descendants_of(process.pid)]
        ]

    def cpu_s(self) -> float:
        return sum(cpu_s_of(pid) for pid in self.pids)

    def memory_mb(self) -> float:
        """Return the largest resident set of them, in megabytes."""
        return max((resident_mb_of(pid) for pid in self.pids), default=0.0)


@dataclass
class Web(Processes):
    """gunicorn with two processes of four threads, as the README starts it."""

    port: int = 0

    def start(self, application: str, *, processes: int = WEB_PROCESSES) -> "Web":
        self.port = self.port or free_port()
        self.launch(
            "-m", "gunicorn", application, "--bind", f"{HOST}:{self.port}",
            "--worker-class", "gthread", "--workers", str(processes), "--threads", str(WEB_THREADS),
            "--keep-alive", "60", "--log-level", "warning", "--no-control-socket",
        )  # fmt: skip
        self._wait_until_ready()
        return self

    def _wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < give_up_at and self.running[-1].poll() is None:
            try:
                with urllib.request.urlopen(f"http://{HOST}:{self.port}/healthz", timeout=5):
                    return
            except urllib.error.HTTPError as answer:
                answer.close()
                return
            except (OSError, HTTPException):  # nobody there, or our own call came back to us
                time.sleep(0.1)
        raise SystemExit(f"The web processes did not start:\n{self.log.read_text()[-3000:]}")


@contextmanager
def running_ground() -> Iterator[Ground]:
    """Start the server in a folder that is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="apono-bench-"))
    home.chmod(0o711)
    _version, bin_dir = max(available_versions().items())
    server = PostgresServer(bin_dir, home / "server", settings=SERVER_SETTINGS)
    try:
        server.start()
        yield Ground(home, server)
    finally:
        server.stop()
        shutil.rmtree(server.home, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def cpu_s_of(pid: int) -> float:
    """User and system CPU of a process's live threads; 0 when it is gone.

    /proc/PID/task/*/schedstat counts nanoseconds, where /proc/PID/stat counts hundredths.
    """
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def resident_mb_of(pid: int) -> float:
    """Resident memory of a process, pages shared with its parent included."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def descendants_of(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        try:
            tasks = list(Path(f"/proc/{waiting.pop()}/task").glob("*/children"))
            children = [int(each) for task in tasks for each in task.read_text().split()]
        except OSError:
            continue
        found += children
        waiting += children
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _new_keys() -> Iterator[tuple[str, str]]:
    yield "SECRET_KEY", secrets.token_urlsafe(64)
    yield "ENCRYPTION_KEYS", "b1:" + base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()
