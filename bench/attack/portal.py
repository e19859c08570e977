"""The portal under attack: database, two web processes, one worker, people and flows."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg import sql

import bench.environment as base
from apono_portal.demo.postgres_server import PostgresServer
from audit.verify_export.signed_notes import make_signing_key
from bench.attack.people import UsedSteps
from bench.attack.target import BROKER, TargetSystem
from bench.browser import Browser
from bench.software_passkey import ORIGIN


@dataclass
class Servers:
    """Two PostgreSQL servers: one has the portal's rows, one is the target."""

    home: Path
    portal: PostgresServer
    target: TargetSystem

    def create_database(self, name: str, template: str = "template0") -> None:
        names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
        with base.connect(self.portal) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {name}").format(**names))
            create = sql.SQL("CREATE DATABASE {name} TEMPLATE {template}")
            connection.execute(create.format(**names))


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start both servers. Nothing in them is worth waiting for a disk."""
    with (
        base.temporary_folder("attack") as home,
        base.running_server(home / "portal", durable=False) as portal,
        base.running_server(home / "target", durable=False) as server,
    ):
        target = TargetSystem(server)
        target.prepare()
        yield Servers(home, portal, target)


@dataclass
class Portal:
    """One portal over one database. ``source`` is the tree it runs from: ours, or a broken copy."""

    servers: Servers
    database: str
    source: Path = base.ROOT
    keys: dict[str, str] = field(default_factory=base.new_keys)
    people: dict[str, Any] = field(default_factory=dict)
    ports: list[int] = field(default_factory=list)
    used_steps: UsedSteps = field(default_factory=UsedSteps)
    ahead_s: float = 0.0  # of the clock of the web processes

    def __post_init__(self) -> None:
        signing_key = make_signing_key(self.database)
        self.checkpoints = self.servers.home / f"{self.database}.checkpoints"
        self._clock_file = self.servers.home / f"{self.database}.clock"
        environment = base.portal_environment(
            self.servers.portal, self.database, self.keys, PYTHONPATH=str(self.source),
            DJANGO_SETTINGS_MODULE="bench.attack.settings", WORKER_INTERVAL_S="0.3", LOG_LEVEL="ERROR",
            ATTACK_CLOCK=str(self._clock_file), PORTAL_URL=ORIGIN, ALLOWED_HOSTS=f"{base.HOST},localhost",
            AUDIT_PUBLIC_KEYS=str(signing_key.public_key), SSO_NETWORKS="127.0.0.0/8",
        )  # fmt: skip
        log = self.servers.home / f"{self.database}.log"
        self.application = base.Application(environment, log, self.source)
        behind_proxy = environment | {"TRUSTED_PROXIES": "1"}
        self._proxied = base.Application(behind_proxy, log, self.source)
        of_workers = {
            "AUDIT_SIGNING_KEY": str(signing_key),
            "AUDIT_CHECKPOINT_FILE": str(self.checkpoints),
        }
        self._worker = base.Application(environment | of_workers, log, self.source)

    def create(self, accounts: int) -> None:
        """Make the database and fill it. The secrets stay in this process's memory."""
        self.servers.create_database(self.database)
        self.application.migrate()
        target = self.servers.target
        address = {"host": target.server.host, "port": target.server.port, "broker": BROKER,
                   "password": target.broker_password}  # fmt: skip
        fill = "bench.attack.fill:fill"
        self.people = self.application.call(fill, accounts=accounts, address=address)

    def copy_to(self, database: str, source: Path) -> "Portal":
        """Return a portal with the same rows, keys and people, running from another tree."""
        self.servers.create_database(database, template=self.database)
        return Portal(self.servers, database, source, keys=self.keys, people=self.people)

    def start(self) -> None:
        self._clock_file.write_text("0")
        self.ahead_s = 0.0
        self.ports = [base.free_port(), base.free_port()]
        for port in self.ports:
            _launch_web(self.application, port)
        self._worker.launch("manage.py", "worker")
        for port in self.ports:
            self.application.wait_until_ready(port)

    def stop(self) -> None:
        for application in (self.application, self._proxied, self._worker):
            application.stop()

    def browser(self, address: str = base.HOST) -> Browser:
        return Browser(self.ports, address)

    def proxied_browser(self, address: str) -> Browser:
        """Return a browser behind a proxy, of which the portal trusts the address it names."""
        if not self._proxied.running:
            self._proxied_port = base.free_port()
            _launch_web(self._proxied, self._proxied_port)
            self._proxied.wait_until_ready(self._proxied_port)
        browser = Browser([self._proxied_port])
        browser.forwarded_for = address
        return browser

    def now(self) -> float:
        """Return the time on the clock of the portal's web processes."""
        return time.time() + self.ahead_s

    def move_clock(self, seconds: float) -> None:
        self.ahead_s += seconds
        temporary = self._clock_file.with_suffix(".new")
        temporary.write_text(repr(self.ahead_s))
        temporary.replace(self._clock_file)


def _launch_web(application: base.Application, port: int) -> None:
    config, address = "bench/attack/gunicorn_config.py", f"{base.HOST}:{port}"
    application.launch("-m", "gunicorn", "-c", config, "-b", address, "apono_portal.wsgi")
