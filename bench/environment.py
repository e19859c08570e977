"""PostgreSQL servers and portal processes that belong to one run and are gone when it ends."""

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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psycopg

from apono_portal.demo.parent import ending_with_parent
from apono_portal.demo.postgres_server import PostgresServer, available_versions

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
HOST = "127.0.0.1"
START_TIMEOUT_S = 60


class InvalidRun(Exception):
    """Something a run relies on did not work, so its figures would mean nothing."""


def new_keys() -> dict[str, str]:
    """Return the secrets of a new portal."""
    key = base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()
    return {"SECRET_KEY": secrets.token_urlsafe(64), "ENCRYPTION_KEYS": f"b1:{key}"}


def portal_environment(
    server: PostgresServer, database: str, keys: Mapping[str, str], **settings: str
) -> dict[str, str]:
    """Return the environment of a portal on one database, with nothing of the caller's but its paths."""
    address = f"{server.host}:{server.port}"
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "apono_portal.settings",
        "DATABASE_URL": f"postgres://{server.superuser}:{server.password}@{address}/{database}",
        "PORTAL_URL": f"http://{HOST}",
        "PORTAL_ID": "bench",
        "LOG_LEVEL": "WARNING",
        "MAX_ACTIVE_GRANTS_PER_USER": "1000000",
        "MAX_ACTIVE_GRANTS_PER_INTEGRATION": "1000000",
        **keys,
        **settings,
    }


def connect(server: PostgresServer, database: str = "postgres") -> psycopg.Connection[Any]:
    """Connect as the superuser."""
    return psycopg.connect(**server.conninfo(database), autocommit=True)


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Make a folder that a server's own account may enter, and remove it afterwards."""
    with tempfile.TemporaryDirectory(
        prefix=f"apono-{purpose}-", ignore_cleanup_errors=True
    ) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def running_server(folder: Path, *, version: int = 0, **options: Any) -> Iterator[PostgresServer]:
    """Run PostgreSQL in a folder, of the newest version unless one is named."""
    versions = available_versions()
    server = PostgresServer(versions[version or max(versions)], folder, **options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.home, ignore_errors=True)


@dataclass
class Application:
    """A portal with its environment: commands that end, and processes that go on."""

    environment: Mapping[str, str]
    log: Path
    source: Path = ROOT
    running: list["subprocess.Popen[Any]"] = field(default_factory=list)

    def run(self, *arguments: str, payload: Any = None) -> str:
        """Run Python to its end and return its output."""
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.source,
            env=dict(self.environment),
            input=json.dumps(payload),
            stdout=subprocess.PIPE,
            text=True,
        )
        if result.returncode:
            raise SystemExit(f"{' '.join(arguments)} failed.")
        return result.stdout

    def migrate(self, *arguments: str) -> None:
        self.run("-m", "django", "migrate", "--verbosity=0", *arguments)

    def call(self, function: str, **arguments: Any) -> Any:
        """Call "module:function" in a process that has Django set up. Values are JSON."""
        return json.loads(self.run("-m", "bench.call", function, payload=arguments))

    def launch(self, *arguments: str, **options: Any) -> "subprocess.Popen[Any]":
        """Start Python with these arguments. It ends with this process."""
        with self.log.open("ab") as log:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log} | options
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.source,
                env=dict(self.environment),
                preexec_fn=ending_with_parent(signal.SIGTERM),
                **pipes,
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

    def wait_until_ready(self, port: int) -> None:
        """Wait until a web process answers on the port."""

        def has_ended() -> bool:
            return any(process.poll() is not None for process in self.running)

        wait_until(lambda: has_ended() or _answers(port), timeout_s=START_TIMEOUT_S)
        if has_ended() or not _answers(port):
            raise SystemExit(f"The portal did not start:\n{self.log.read_text()[-3000:]}")

    @property
    def pids(self) -> list[int]:
        """The processes and all they started."""
        pids = [process.pid for process in self.running]
        for pid in pids:
            pids += _children_of(pid)
        return pids

    def cpu_s(self) -> float:
        return sum(map(cpu_s_of, self.pids))

    def memory_mb(self) -> float:
        """Return the largest peak of resident memory among the processes, in megabytes."""
        return max(map(_peak_memory_mb, self.pids), default=0.0)


def _answers(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=START_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status > 0
    except (OSError, HTTPException):  # nobody listens, or the port connected to itself
        return False
    finally:
        connection.close()


def cpu_s_of(pid: int) -> float:
    """Return the user and system CPU of a process's live threads, 0 when it is gone.

    /proc/PID/task/*/schedstat counts nanoseconds, where /proc/PID/stat counts hundredths.
    """
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((path / "schedstat").read_text().split()[0]) for path in threads) / 1e9
    except OSError:
        return 0.0


def _peak_memory_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


def _children_of(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").glob("*/children"))
        return [int(child) for task in tasks for child in task.read_text().split()]
    except OSError:
        return []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], *, timeout_s: float, interval_s: float = 0.1) -> bool:
    """Poll until the condition holds; return whether it did in time."""
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(interval_s)
    return True


def exit_on_sigterm() -> None:
    """Let SIGTERM stop everything that was started, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
