"""Targets that are restored from a backup, replaced by another server, or full."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql

from apono_portal.demo.postgres_server import PostgresServer
from apono_portal.demo.target import provision_target
from bench.chaos.environment import Environment, create_builder
from bench.chaos.judge import Watch
from bench.chaos.scenario import ScenarioContext, sleep_until
from bench.chaos.verdict import Verdict

AWAY_S = 5.0  # past the end, with another server in the target's place
FULL_CONNECTIONS = "150"
FILLER = "chaos_filler"


def target_restored(context: ScenarioContext) -> Verdict:
    """Restore a backup of the target that knows half of the logins; others get the OIDs of the rest."""
    environment = context.environment
    half = context.size // 2
    ends_at = context.time_for(context.size + half) + 10
    access = context.activate(half, ends_at=ends_at)
    server = environment.target_server
    backup = server.home / "backup"
    server.stop()
    subprocess.run(["cp", "-a", server.data, backup], check=True)
    server.start()
    lost = context.activate(half, ends_at=ends_at)
    server.stop()
    shutil.rmtree(server.data)
    backup.rename(server.data)
    server.start()
    strangers = [f"{FILLER}_{number}" for number in range(half)]
    for name in strangers:
        environment.query(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    access.grants += lost.grants
    access.credentials += lost.credentials
    access.sessions += lost.sessions
    with Watch(environment, access.roles) as watch:
        sleep_until(ends_at)
        verdict = context.verdict("target restored from a backup", access, watch, ends_at)
    for name in strangers:
        if not environment.query(
            "SELECT 1 FROM pg_roles WHERE rolname = %s AND rolcanlogin", [name]
        ):
            verdict.faults.append(f"{name}, a stranger's login, was cut.")
        environment.query(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
    return verdict


def target_replaced(context: ScenarioContext) -> Verdict:
    """Put another server in the target's place before the end; an admin closes what was on the old one."""
    environment, portal = context.environment, context.portal
    access = context.activate(context.size, "proxied", ends_at=context.time_for(context.size))
    sleep_until(access.ends_at - 0.5)
    with _another_server(environment):
        sleep_until(access.ends_at + AWAY_S)
        is_claimed = portal.wait_ended(access.grants, 0)
        closed = portal.close_lost(access.grants[0].integration)
        access.ends_at = 0
        with Watch(environment, access.roles) as watch:
            verdict = context.verdict("target replaced", access, watch, time.time())
    if is_claimed:
        verdict.faults.append("An end was proven on a server that never had the login.")
    if closed != len(access.grants):
        verdict.faults.append(f"Only {closed} of {len(access.grants)} could be closed.")
    for role in access.roles:
        environment.query(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))
    return verdict


@contextmanager
def _another_server(environment: Environment) -> Iterator[None]:
    """A new cluster at the target's address, set up in the same way; afterwards the old one is back."""
    server = environment.target_server
    server.stop()
    old = server.data.rename(server.home / "old")
    try:
        server.start()
        provision_target(server, environment.target.password)
        create_builder(environment)
        yield
    finally:
        server.stop()
        shutil.rmtree(server.data)
        old.rename(server.data)
        server.start()


def slots_taken(context: ScenarioContext) -> Verdict:
    """Let an application take every connection that is free, from before the end until the proof."""
    environment = context.environment
    full = environment.target_server
    environment.workers.stop()
    full.stop()
    small = PostgresServer(
        full.bin_dir, full.home, full.port, settings={"max_connections": FULL_CONNECTIONS}
    )
    small.start()
    environment.target_server = small
    try:
        environment.ensure_workers(2)
        return _with_slots_taken(context)
    finally:
        environment.workers.stop()
        small.stop()
        environment.target_server = full
        full.start()
        environment.ensure_workers(2)


def _with_slots_taken(context: ScenarioContext) -> Verdict:
    environment = context.environment
    role = sql.Identifier(FILLER)
    environment.query(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'filler'").format(role))
    environment.query(sql.SQL("GRANT CONNECT ON DATABASE postgres TO {}").format(role))
    access = context.activate(context.size, ends_at=context.time_for(context.size))
    done, taken = threading.Event(), []
    address = environment.target_server.conninfo("postgres")
    address |= {"user": FILLER, "password": "filler"}

    def fill() -> None:
        while not done.wait(0.01):
            with suppress(psycopg.OperationalError):
                taken.append(psycopg.connect(**address))

    with Watch(environment, access.roles) as watch:
        filling = threading.Thread(target=fill, daemon=True)
        filling.start()
        sleep_until(access.ends_at)
        watch.wait_until_done(10)
        done.set()
        filling.join()
        for connection in taken:
            connection.close()
        verdict = context.verdict("every connection taken", access, watch, access.ends_at)
    verdict.note = f"an application held {len(taken)} connections"
    environment.query(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))
    return verdict
