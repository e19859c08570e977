"""Where a run takes place: two PostgreSQL servers, and worker processes."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

import bench.environment as base
from accessflows.connectors.protocol import Target
from apono_portal.demo.postgres_server import PostgresServer
from apono_portal.demo.target import provision_target
from bench.chaos.tcp_proxy import TcpProxy

BUILDER = "orders_build"  # a permission whose holder can leave objects behind
LEASE_S = 5
TARGET_SETTINGS = {"max_connections": "2000"}


@dataclass
class Environment:
    """Two servers that can be stopped and started, and any number of workers."""

    portal: PostgresServer
    target_server: PostgresServer
    target: Target
    version: int
    workers: base.Application
    variables: dict[
        str, str
    ]  # of a portal that reaches its database directly; workers pass the proxy
    database_proxy: TcpProxy

    def query(self, statement: Any, values: Any = None, database: str = "postgres") -> list[Any]:
        """Execute a statement as the target's superuser and return its rows, if it has any."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return base.connect(self.target_server, database)

    def copy_portal(self, name: str) -> base.Application:
        """Copy the portal's database, which nobody may be connected to; return the copy's portal."""
        with base.connect(self.portal, "template1") as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE postgres").format(sql.Identifier(name))
            )
        url = self.variables["DATABASE_URL"].rpartition("/")[0]
        changes = {"DATABASE_URL": f"{url}/{name}", "PORTAL_ID": name}
        return base.Application(self.variables | changes, self.workers.log)

    @property
    def running_workers(self) -> int:
        return sum(worker.poll() is None for worker in self.workers.running)

    def ensure_workers(self, number: int) -> None:
        for _ in range(number - self.running_workers):
            self.workers.launch("manage.py", "worker")


@contextmanager
def running_environment(
    version: int, settings: Mapping[str, str] = TARGET_SETTINGS
) -> Iterator[Environment]:
    """Start both servers and migrate. Both write through to the disk, as in production."""
    prepared = {"max_prepared_transactions": "5"} if version >= 16 else {}
    with (
        base.temporary_folder("chaos") as home,
        base.running_server(home / "portal") as portal,
        base.running_server(
            home / "target", version=version, settings=prepared | dict(settings)
        ) as server,
    ):
        target = provision_target(server, secrets.token_urlsafe(24))
        variables = base.portal_environment(
            portal, "postgres", base.new_keys(), WORKER_LEASE_S=str(LEASE_S)
        )
        proxy = TcpProxy(portal.host, portal.port)
        url = variables["DATABASE_URL"].replace(f":{portal.port}/", f":{proxy.port}/")
        workers = base.Application(variables | {"DATABASE_URL": url}, home / "workers.log")
        environment = Environment(portal, server, target, version, workers, variables, proxy)
        create_builder(environment)
        workers.migrate()
        try:
            yield environment
        finally:
            workers.stop()


def create_builder(environment: Environment) -> None:
    """Create the permission whose holder can leave objects behind."""
    options = " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE" if environment.version >= 16 else ""
    environment.query(
        f"CREATE ROLE {BUILDER}; GRANT {BUILDER} TO {environment.target.user}{options};"
        f" GRANT CONNECT ON DATABASE orders TO {BUILDER};"
        " ALTER DATABASE orders CONNECTION LIMIT -1"
    )
    environment.query(
        f"GRANT USAGE, CREATE ON SCHEMA sales TO {BUILDER}, jit_graveyard;"
        f" GRANT SELECT ON ALL TABLES IN SCHEMA sales TO {BUILDER}",
        database="orders",
    )
