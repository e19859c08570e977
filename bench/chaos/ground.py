"""Where a run takes place: two PostgreSQL servers, the portal's keys, the worker processes."""

import base64
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from accessflows.connectors.protocol import Target
from apono_portal.demo.postgres_server import PostgresServer, available_versions
from apono_portal.demo.target import provision_target

ROOT = Path(__file__).resolve().parents[2]
PORTAL_ID = "chaos"
BUILDER = "orders_build"  # a permission whose holder can leave things behind
LEASE_S = 5
_SESSIONS = {"max_connections": "700", "shared_buffers": "128MB"}


@dataclass
class Ground:
    """Two servers that can be stopped and started, and any number of workers."""

    home: Path
    portal: PostgresServer
    target_server: PostgresServer
    target: Target
    version: int
    environment: dict[str, str]
    workers: list["WorkerProcess"] = field(default_factory=list)

    def ask(self, query: Any, values: Any = None, database: str = "postgres") -> list[Any]:
        """A statement of the target's superuser; its rows if it has any."""
        with self.admin(database) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(**self.target_server.conninfo(database), autocommit=True)

    def start_workers(self, number: int) -> list["WorkerProcess"]:
        started = [WorkerProcess.start(self) for _ in range(number)]
        self.workers += started
        return started

    def stop_workers(self) -> None:
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            try:
                worker.process.wait(15)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self.workers.clear()

    @property
    def workers_up(self) -> int:
        return sum(worker.process.poll() is None for worker in self.workers)

    @property
    def log_file(self) -> Path:
        return self.home / "workers.log"

    def launch(self, arguments: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environment,
                stderr=log,
                text=True,
                **{"stdin": subprocess.DEVNULL, "stdout": log} | options,
            )


@dataclass
class WorkerProcess:
    """``manage.py worker``, as in production."""

    process: "subprocess.Popen[str]"

    @classmethod
    def start(cls, ground: Ground) -> "WorkerProcess":
        return cls(ground.launch(["manage.py", "worker"]))


@contextmanager
def running_ground(version: int) -> Iterator[Ground]:
    """Start both servers and migrate. Both write through to the disk, as in production."""
    home = Path(tempfile.mkdtemp(prefix="apono-chaos-"))
    home.chmod(0o711)
    versions = available_versions()
    portal = PostgresServer(versions[max(versions)], home / "portal")
    server = PostgresServer(
        versions[version], home / "target", settings=_SESSIONS | {"max_prepared_transactions": "5"}
    )
    ground = None
    try:
        portal.start()
        server.start()
        target = provision_target(server, secrets.token_urlsafe(24))
        ground = Ground(home, portal, server, target, version, _environment(portal))
        _offer_builder(ground)
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT,
            env=ground.environment,
            check=True,
        )
        yield ground
    finally:
        if ground is not None:
            ground.stop_workers()
        server.stop()
        portal.stop()
        for folder in (server.home, portal.home, home):
            shutil.rmtree(folder, ignore_errors=True)


def _environment(portal: PostgresServer) -> dict[str, str]:
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **keep,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "apono_portal.settings",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ENCRYPTION_KEYS": "c1:" + base64.urlsafe_b64encode(secrets.token_bytes(64)).decode(),
        "PORTAL_URL": "http://127.0.0.1",
        "PORTAL_ID": PORTAL_ID,
        "DATABASE_URL": (
            f"postgres://{portal.superuser}:{portal.password}@{portal.host}:{portal.port}/postgres"
        ),
        "WORKER_LEASE_S": str(LEASE_S),
        "MAX_ACTIVE_GRANTS_PER_USER": "10000",
        "MAX_ACTIVE_GRANTS_PER_INTEGRATION": "10000",
        "LOG_LEVEL": "WARNING",
    }


def _offer_builder(ground: Ground) -> None:
    admin = " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE" if ground.version >= 16 else ""
    ground.ask(f"CREATE ROLE {BUILDER}")
    ground.ask(f"GRANT {BUILDER} TO {ground.target.user}{admin}")
    ground.ask(f"GRANT CONNECT ON DATABASE orders TO {BUILDER}")
    ground.ask(
        f"GRANT USAGE, CREATE ON SCHEMA sales TO {BUILDER}, jit_graveyard", database="orders"
    )
    ground.ask(f"GRANT SELECT ON ALL TABLES IN SCHEMA sales TO {BUILDER}", database="orders")
