"""One running target of each kind, as the subject of the contract suite."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from psycopg import sql

from accessflows.connectors.protocol import Connector, Credential, Target
from accessflows.connectors.registry import connector_for
from accessflows.connectors.webhook.settings import WebhookSettings
from apono_portal.demo.postgres_server import available_versions
from tests.fixtures import postgres as fixtures
from tests.fixtures.mariadb import mariadb_server, mariadb_subject  # noqa: F401
from tests.fixtures.postgres import PgTarget
from tests.fixtures.subjects import Session, Subject
from tests.fixtures.valkey import valkey_server, valkey_subject  # noqa: F401
from tests.fixtures.webhook import Receiver, receiver  # noqa: F401

KINDS = ("postgresql", "mariadb", "valkey", "webhook")

provisioned_server = fixtures.provisioned_server
pg_target = fixtures.pg_target


@pytest.fixture(scope="session")
def pg_version() -> int:
    return max(available_versions(), default=0)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def subject(kind: str, request: pytest.FixtureRequest) -> Subject:
    subject: Subject = request.getfixturevalue(f"{kind}_subject")
    return subject


@pytest.fixture
def connector(kind: str) -> Connector:
    return connector_for(kind)


class PostgreSQLSubject(Subject):
    pg: PgTarget

    def _open(self, credential: Credential) -> Session:
        connection = self.pg.log_in(credential)
        return Session(
            lambda: connection.execute("SELECT count(*) FROM sales.orders"), connection.close
        )

    def exists(self, name: str) -> bool:
        return self.pg.role_exists(name)

    def add_stranger(self, name: str) -> Callable[[], bool]:
        role = sql.Identifier(name)
        self.pg.ask(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'stranger'").format(role))
        self.pg.ask(sql.SQL("GRANT orders_read TO {}").format(role))
        stranger = Credential(self.target.host, self.target.port, "orders", name, "stranger")
        return lambda: self.can_sign_in(stranger)

    def remove_stranger(self, name: str) -> None:
        self.pg.ask(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def postgresql_subject(pg_target: PgTarget) -> Iterator[PostgreSQLSubject]:
    subject = PostgreSQLSubject(pg_target.target, "orders", "orders_read")
    subject.pg = pg_target
    yield subject
    subject.close_sessions()


class WebhookSubject(Subject):
    """The example receiver, whose door opens for a credential. It keeps no sessions."""

    receiver: Receiver

    def down(self) -> Target:
        return replace(self.target, settings=WebhookSettings("http://127.0.0.1:1/"))

    def _open(self, credential: Credential) -> Session:
        def use() -> None:
            assert self.receiver.opens_for(credential)

        return Session(use)

    def exists(self, name: str) -> bool:
        connector = connector_for("webhook")
        accounts = connector.list_managed_accounts(self.target, "test-portal", []).accounts
        return name in {account.name for account in accounts}

    def add_stranger(self, name: str) -> Callable[[], bool]:
        raise NotImplementedError("A receiver has no other accounts.")

    def remove_stranger(self, name: str) -> None:
        raise NotImplementedError


@pytest.fixture
def webhook_subject(receiver: Receiver) -> WebhookSubject:  # noqa: F811
    subject = WebhookSubject(receiver.target, "orders", "reader", has_sessions=False)
    subject.receiver = receiver
    return subject
