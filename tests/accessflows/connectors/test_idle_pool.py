"""Connections a worker keeps: used again, never trusted blindly, never too many, never too long."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from unittest import mock

import psycopg
import pytest
from psycopg.sql import SQL

from accessflows.connectors import idle_pool
from accessflows.connectors.errors import TargetMismatch, TargetRefused
from accessflows.connectors.postgresql import connection as connection_module
from accessflows.connectors.postgresql.connection import connect_as_broker
from accessflows.connectors.registry import connector_for

pytestmark = pytest.mark.target
postgresql = connector_for("postgresql")


@pytest.fixture(autouse=True)
def pool() -> Iterator[None]:
    idle_pool.connections.is_enabled = True
    yield
    idle_pool.connections.stop()


def pid(target, **options) -> int:
    with connect_as_broker(target, **options) as connection:
        return connection.row("SELECT pg_backend_pid() AS pid")["pid"]


def test_the_next_call_takes_the_same_connection(pg_target):
    assert pid(pg_target.target) == pid(pg_target.target)


def test_only_a_worker_keeps_any(pg_target):
    idle_pool.connections.is_enabled = False
    assert pid(pg_target.target) != pid(pg_target.target)


def test_another_database_or_password_is_another_key(pg_target):
    first = pid(pg_target.target)
    assert pid(pg_target.target, database="orders") != first
    with pytest.raises(TargetRefused, match="does not accept the password of the broker"):
        pid(replace(pg_target.target, password="wrong"))


def test_a_terminated_one_is_replaced(pg_target):
    first = pid(pg_target.target)
    pg_target.ask("SELECT pg_terminate_backend(%s)", [first])
    assert pid(pg_target.target) != first


def test_after_an_error_it_is_closed(pg_target):
    first = pid(pg_target.target)
    with pytest.raises(TargetRefused), connect_as_broker(pg_target.target) as connection:
        connection.row("SELECT 1/0")
    assert pid(pg_target.target) != first


def test_one_with_an_open_transaction_is_closed(pg_target):
    with connect_as_broker(pg_target.target) as connection:
        first = connection.row("SELECT pg_backend_pid() AS pid")["pid"]
        connection.execute("BEGIN")
    assert pid(pg_target.target) != first


def test_server_is_identified_every_time(pg_target):
    pid(pg_target.target)
    with pytest.raises(TargetMismatch), connect_as_broker(pg_target.target) as connection:
        connection.check_server("1")


def test_servers_clock_is_read_every_time(pg_target):
    times = []
    for _ in range(3):
        with connect_as_broker(pg_target.target) as connection:
            times.append(connection.server_time)
    assert times[0] < times[1] < times[2]


def test_preflight_signs_in_again(pg_target):
    pid(pg_target.target)
    broker = pg_target.target.user
    [(verifier,)] = pg_target.ask("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [broker])
    pg_target.ask(f"ALTER ROLE {broker} PASSWORD 'changed'")
    try:
        checks = postgresql.preflight(pg_target.target)
    finally:  # by its hash: another test looks for the password in the server's log
        pg_target.ask(f"ALTER ROLE {broker} PASSWORD '{verifier}'")
    assert [check.name for check in checks if not check.ok] == ["Connection"]


def test_an_old_one_is_closed(pg_target, monkeypatch):
    monkeypatch.setattr("accessflows.connectors.postgresql.connection._MAX_AGE_S", 0)
    assert pid(pg_target.target) != pid(pg_target.target)


def test_idle_ones_are_closed_and_other_databases_sooner(pg_target):
    pid(pg_target.target)
    pid(pg_target.target, database="orders")
    assert idle_pool.connections.close_idle() == 0
    began = time.monotonic()
    with mock.patch("time.monotonic", return_value=began + idle_pool.IDLE_SECONDS + 1):
        assert idle_pool.connections.close_idle() == 1
    with mock.patch("time.monotonic", return_value=began + 200):
        assert idle_pool.connections.close_idle() == 1


def test_few_are_kept_for_a_key(pg_target):
    with ExitStack() as stack:
        for _ in range(idle_pool.MAX_PER_KEY + 1):
            stack.enter_context(connect_as_broker(pg_target.target))
    assert idle_pool.connections.close_idle(early=True) == idle_pool.MAX_PER_KEY


def test_transaction_of_a_suspended_worker_is_ended(pg_target, monkeypatch):
    """Its last message was a pipeline's, after which the server waits for ever."""
    monkeypatch.setattr(connection_module, "_STALLED_TRANSACTION_S", 0.1)
    with connect_as_broker(pg_target.target) as suspended:
        suspended.pipeline([(SQL("BEGIN"), None), (SQL("SELECT pg_advisory_xact_lock(1)"), None)])
        time.sleep(0.5)
        postgresql.keep_connections(pg_target.target, [])
        with pytest.raises(psycopg.Error):
            suspended.execute("SELECT 1")
        suspended.raw.close()


def test_connection_that_waits_outside_a_transaction_is_kept(pg_target, monkeypatch):
    monkeypatch.setattr(connection_module, "_STALLED_TRANSACTION_S", 0)
    with connect_as_broker(pg_target.target) as idle:
        postgresql.keep_connections(pg_target.target, [])
        assert idle.row("SELECT 1 AS one") == {"one": 1}
