"""A target without a free connection: the end gets through all the same."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import psycopg
import pytest

from accessflows.connectors import idle_pool
from accessflows.connectors.errors import TargetRefused, TargetUnavailable
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
        settings["reserved_connections"] = "3"
    server = start_postgres(pg_version, **settings)
    return PgTarget(server, provision_target(server, BROKER_PASSWORD), pg_version)


@pytest.fixture(autouse=True)
def application(small_server: PgTarget) -> Iterator[None]:
    """An ordinary account that can sign in to any database."""
    small_server.ask("CREATE ROLE application LOGIN PASSWORD 'application'")
    small_server.ask("GRANT CONNECT ON DATABASE orders, postgres TO application")
    yield
    small_server.ask("DROP OWNED BY application; DROP ROLE application")


def fill(stack: ExitStack, pg: PgTarget, database: str) -> None:
    with suppress(psycopg.OperationalError):
        for _ in range(MAX_CONNECTIONS):
            account = {"user": "application", "password": "application"}
            stack.enter_context(pg.admin(database, **account))


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
    idle_pool.connections.close_idle(early=True)
    return Grant(small_server, spec, identity, credential)


@pytest.fixture
def filled(grant: Grant) -> Iterator[Grant]:
    """All slots are taken: the grantee's, then an application's."""
    postgresql.keep_connections(grant.pg.target, ["orders"])
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
        postgresql.keep_connections(filled.pg.target, ["orders"])
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
    with (
        pytest.raises(TargetUnavailable, match="no free connection"),
        broker.connect_as_broker(filled.pg.target),
    ):
        pass
    assert filled.contain().sessions_terminated == 2


def test_each_database_with_access_has_a_connection_of_its_own(filled: Grant) -> None:
    for database in ("orders", "postgres"):
        with broker.connect_as_broker(filled.pg.target, database=database, urgent=True):
            pass
    with (
        pytest.raises(TargetUnavailable, match="no free connection"),
        broker.connect_as_broker(filled.pg.target, database="billing", urgent=True),
    ):
        pass


def test_sockets_that_never_sign_in_delay_nothing(grant: Grant) -> None:
    session = grant.log_in()
    postgresql.keep_connections(grant.pg.target, ["orders"])
    address = grant.credential.host, grant.credential.port
    with ExitStack() as stack:
        for _ in range(3 * MAX_CONNECTIONS):
            stack.enter_context(socket.create_connection(address, timeout=5))
        grant.contain()
        assert is_dead(session)


def test_checked_setup_lets_a_broker_in_that_kept_no_connection(grant: Grant) -> None:
    """By reserved connections, and before version 16 by the limits of databases with grantees."""
    checks = postgresql.preflight(grant.pg.target)
    assert next(check for check in checks if check.name == "Reserved connections").ok
    idle_pool.connections.stop()
    session = grant.log_in()
    with ExitStack() as stack:
        fill(stack, grant.pg, "orders" if grant.pg.version < 16 else "postgres")
        grant.contain()
    assert is_dead(session)


def test_grants_never_exceed_the_connections_of_the_target(small_server: PgTarget) -> None:
    pg = small_server
    specs = [pg.spec(connection_limit=2) for _ in range(MAX_CONNECTIONS)]
    with ThreadPoolExecutor(4) as pool:
        activations = [pool.submit(postgresql.activate, pg.target, spec) for spec in specs]
        refused = [one.exception() for one in activations if one.exception()]
    granted = pg.ask(
        "SELECT COALESCE(sum(rolconnlimit), 0) FROM pg_roles WHERE rolname ~ '^jit_.{26}$'"
    )
    assert 2 <= granted[0][0] <= MAX_CONNECTIONS - 3 - 5
    assert all(isinstance(one, TargetRefused) and "no room" in one.sentence for one in refused)
    assert len(refused) == MAX_CONNECTIONS - granted[0][0] // 2


def test_activations_look_at_the_capacity_one_after_the_other(small_server: PgTarget) -> None:
    hurried = small_server.with_target(lock_timeout_s=1)
    with small_server.admin() as other:
        other.execute("BEGIN")
        other.execute("SELECT pg_advisory_xact_lock(hashtext('apono-portal-capacity'))")
        with pytest.raises(TargetUnavailable, match="lock timeout"):
            postgresql.activate(hurried, small_server.spec())


def test_connections_of_applications_count(small_server: PgTarget) -> None:
    with broker.connect_as_broker(small_server.target):
        pass
    with ExitStack() as stack:
        fill(stack, small_server, "postgres")
        with pytest.raises(TargetRefused, match="no room"):
            postgresql.activate(small_server.target, small_server.spec())


@pytest.fixture(autouse=True)
def no_grants(small_server: PgTarget) -> Iterator[None]:
    yield
    for name in small_server.grant_roles():
        small_server.ask(f"DROP OWNED BY {name}; DROP ROLE {name}")
