"""A database that goes silent without an error: every wait for it ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from apono_portal.core.db.postgresql.base import DatabaseWrapper
from apono_portal.settings import database_limits
from tests.fixtures.postgres import PgTarget
from tests.fixtures.silent_proxy import SilentProxy

pytestmark = [
    pytest.mark.target,
    pytest.mark.django_db,
]


@pytest.fixture
def proxy(pg_target: PgTarget) -> Iterator[SilentProxy]:
    proxy = SilentProxy(pg_target.server.host, pg_target.server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def database(pg_target: PgTarget, proxy: SilentProxy) -> Iterator[BaseDatabaseWrapper]:
    """The portal's database connection, with short limits, through the proxy."""
    server = pg_target.server
    wrapper = DatabaseWrapper(
        {
            "TIME_ZONE": None,
            "ENGINE": "apono_portal.core.db.postgresql",
            "NAME": "postgres",
            "USER": server.superuser,
            "PASSWORD": server.password,
            "HOST": "127.0.0.1",
            "PORT": str(proxy.port),
            "OPTIONS": {**database_limits(1, by_server=True), "connect_timeout": 2},
            "AUTOCOMMIT": True,
            "ATOMIC_REQUESTS": False,
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
        },
        alias="silent",
    )
    yield wrapper
    proxy.speak()
    wrapper.close()


def run(database: BaseDatabaseWrapper, statement: str) -> None:
    with database.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def fails_within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(DatabaseError):
        yield
    assert time.monotonic() - began < seconds


def test_statement_ends_when_the_server_goes_silent(database, proxy):
    run(database, "SELECT 1")
    proxy.silence()
    with fails_within(4):
        run(database, "SELECT 1")


def test_commit_ends_when_the_server_goes_silent(database, proxy):
    run(database, "SELECT 1")
    database.set_autocommit(False)
    run(database, "SELECT 1")
    proxy.silence()
    with fails_within(4):
        database.commit()


def test_connecting_ends_when_the_server_is_silent(database, proxy):
    proxy.silence()
    with fails_within(4):
        run(database, "SELECT 1")


def test_connection_works_again_after_the_silence(database, proxy):
    run(database, "SELECT 1")
    proxy.silence()
    with fails_within(4):
        run(database, "SELECT 1")
    proxy.speak()
    database.close()
    run(database, "SELECT 1")


def test_server_limits_statements_by_itself(database):
    with fails_within(1.9):
        run(database, "SELECT pg_sleep(5)")
