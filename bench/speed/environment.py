"""One durable PostgreSQL, the databases on it, and their applications."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

import bench.environment as base
from apono_portal.demo.postgres_server import PostgresServer

# For a small machine; what makes a commit safe stays on.
SERVER_SETTINGS = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "512MB",
    "maintenance_work_mem": "256MB", "max_wal_size": "8GB", "max_connections": "400",
}  # fmt: skip
BASELINE = "baseline"  # the database of a bare Django; the others are portals'


@dataclass
class Web(base.Application):
    database: str = ""
    port: int = field(default_factory=base.free_port)


@dataclass
class Environment:
    home: Path
    server: PostgresServer
    keys: dict[str, str] = field(default_factory=base.new_keys)

    def application(self, database: str, **settings: str) -> Web:
        """Return the application of a database, without a process of it running."""
        settings = {"STATIC_ROOT": str(self.home / "static"), **settings}
        if database == BASELINE:
            settings["DJANGO_SETTINGS_MODULE"] = "bench.speed.baseline.settings"
        variables = base.portal_environment(self.server, database, self.keys, **settings)
        return Web(variables, self.home / f"{database}.log", database=database)

    def connect(self, database: str) -> psycopg.Connection[Any]:
        return base.connect(self.server, database)

    def create_database(self, name: str) -> base.Application:
        """Make a database with the tables of its application."""
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        application = self.application(name)
        application.migrate()
        if name == BASELINE:  # its own table refers to migrated ones
            application.migrate("--run-syncdb")
        return application

    def analyze(self, database: str) -> None:
        """Give the planner its statistics, and the disk its pages, before anything is measured."""
        with self.connect(database) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")

    def backend_cpu(self, database: str) -> dict[int, float]:
        """Return the CPU seconds of the server's processes that serve a database's clients, by pid."""
        query = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
        with self.connect("postgres") as connection:
            return {pid: base.cpu_s_of(pid) for (pid,) in connection.execute(query, [database])}

    def backend_cpu_since(self, database: str, former: dict[int, float]) -> float:
        now = self.backend_cpu(database)
        return sum(cpu_s - former.get(pid, 0.0) for pid, cpu_s in now.items())

    @contextmanager
    def running_web(self, database: str, **options: str) -> Iterator[Web]:
        """Run gunicorn with two processes of four threads, as the README starts it."""
        web = self.application(database, **options)
        web.run("-m", "django", "collectstatic", "--noinput", "--verbosity=0")
        web.launch(
            "-m", "gunicorn", "django.core.wsgi:get_wsgi_application()", "--workers", "2",
            "--bind", f"{base.HOST}:{web.port}", "--worker-class", "gthread", "--threads", "4",
            "--keep-alive", "60", "--log-level", "warning", "--no-control-socket",
        )  # fmt: skip
        try:
            web.wait_until_ready(web.port)
            yield web
        finally:
            web.stop()


@contextmanager
def running_environment() -> Iterator[Environment]:
    with (
        base.temporary_folder("bench") as home,
        base.running_server(home / "server", settings=SERVER_SETTINGS) as server,
    ):
        yield Environment(home, server)
