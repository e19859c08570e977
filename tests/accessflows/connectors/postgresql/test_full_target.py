"""A target without a free connection: the end gets through all the same."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import psycopg
import pytest

from accessflows.connectors import idle_pool
from accessflows.connectors.errors import TargetUnavailable
from accessflows.connectors.postgresql import connection as broker
from accessflows.connectors.registry import connector_for
from apono_portal.demo.target import provision_target
from tests.accessflows.connectors.conftest import Grant
from tests.accessflows.connectors.postgresql.test_containment import is_dead
from tests.fixtures.postgres import BROKER_PASSWORD, PgTarget, StartServer

postgresql = connector_for("postgresql")

pytestmark = pytest.mark.target
MAX_CONNECTIONS = 20


@pytest.fixture(scope="module")
def small_server(pg_version: int, start_postgres: StartServer) -> PgTarget:
    settings = {"max_connections": str(MAX_CONNECTIONS), "autovacuum": "off"}
    if pg_version >= 16:
        settings["reserved_connections"] = "4"
    server = start_postgres(pg_version, **settings)
    return PgTarget(server, provision_target(server, BROKER_PASSWORD), pg_version)


@pytest.fixture(autouse=True)
def worker() -> Iterator[None]:
    idle_pool.connections.is_enabled = True
    yield
    idle_pool.connections.stop()


@pytest.fixture
def grant(small_server: PgTarget) -> Grant:
    spec = small_server.spec()
    identity = postgresql.activate(small_server.target, spec).identity
    credential = postgresql.issue_credential(small_server.target, spec, identity)
    return Grant(small_server, spec, identity, credential)


@pytest.fixture
def filled(grant: Grant) -> Iterator[Grant]:
    """All slots are taken: the grantee's, then an application's."""
    postgresql.keep_connection(grant.pg.target)
    grant.pg.ask("ALTER ROLE portal_broker CONNECTION LIMIT -1")
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(grant.log_in())
        with suppress(psycopg.OperationalError):
            for _ in range(MAX_CONNECTIONS):
                stack.enter_context(grant.pg.admin())
        yield grant


def test_kept_connection_contains(filled: Grant) -> None:
    assert filled.contain().sessions_terminated == 2


def test_connection_that_is_due_for_replacement_is_kept(
    filled: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "_MAX_AGE_S", -1)
    for _ in range(3):
        postgresql.keep_connection(filled.pg.target)
    assert filled.contain().sessions_terminated == 2


def test_connection_on_which_a_statement_failed_is_kept(filled: Grant) -> None:
    for _ in range(3):
        with (
            suppress(broker.ConnectorError),
            broker.connect_as_broker(filled.pg.target, urgent=True) as connection,
        ):
            connection.execute("BEGIN")
            connection.execute("SELECT 1/0")
    assert filled.contain().sessions_terminated == 2


def test_cleaning_does_not_take_the_connection_for_urgent_calls(filled: Grant) -> None:
    idle_pool.connections._idle.pop((filled.pg.target, "postgres", False), None)
    with (
        pytest.raises(TargetUnavailable, match="no free connection"),
        broker.connect_as_broker(filled.pg.target),
    ):
        pass
    assert filled.contain().sessions_terminated == 2


def test_sockets_that_never_sign_in_delay_nothing(grant: Grant) -> None:
    session = grant.log_in()
    postgresql.keep_connection(grant.pg.target)
    address = grant.credential.host, grant.credential.port
    with ExitStack() as stack:
        for _ in range(3 * MAX_CONNECTIONS):
            stack.enter_context(socket.create_connection(address, timeout=5))
        grant.contain()
        assert is_dead(session)


def test_reserved_connections_let_a_broker_in_that_kept_none(grant: Grant) -> None:
    """Only since version 16; there, grantees and applications can't use these slots."""
    idle_pool.connections.stop()
    session = grant.log_in()
    with ExitStack() as stack:
        with suppress(psycopg.OperationalError):
            for _ in range(MAX_CONNECTIONS):
                stack.enter_context(grant.pg.admin(user="portal_broker_other", password="x"))
        with suppress(psycopg.OperationalError):
            for _ in range(MAX_CONNECTIONS):
                stack.enter_context(grant.log_in())
        grant.contain()
    assert is_dead(session)
