"""One running target of each kind, as the subject of the contract suite."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from accessflows.connectors.kinds import ConnectorKind
from accessflows.connectors.protocol import Connector, Credential, Target
from accessflows.connectors.registry import ENTRY_POINTS, connector_for, kind_named, kinds
from accessflows.connectors.webhook.settings import WebhookSettings
from apono_portal.demo.postgres_server import available_versions
from tests.fixtures import postgres as fixtures
from tests.fixtures.postgres import PgTarget
from tests.fixtures.subjects import Session, Subject
from tests.fixtures.webhook import Receiver, receiver  # noqa: F401

TEMPLATE = Path(__file__).parents[4] / "docs" / "examples" / "connector_template.py"
KINDS = ("postgresql", "mariadb", "valkey", "linux", "webhook", "example-file")

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
    name = kind.replace("-", "_")
    subject: Subject = request.getfixturevalue(f"{name}_subject")
    return subject


@pytest.fixture
def connector(kind: str, subject: Subject) -> Connector:
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


class FileSubject(Subject):
    """The template of a connector in a package of its own, which the registry finds by its entry point."""

    path: Path

    def down(self) -> Target:
        settings = type(self.target.settings)
        return replace(self.target, settings=settings(path="/nonexistent/accounts.json"))  # type: ignore[call-arg]

    def _accounts(self) -> dict[str, Any]:
        accounts: dict[str, Any] = json.loads(self.path.read_text())["accounts"]
        return accounts

    def _open(self, credential: Credential) -> Session:
        digest = hashlib.sha256(credential.password.encode()).hexdigest()

        def use() -> None:
            assert self._accounts()[credential.user]["password"] == digest

        return Session(use)

    def exists(self, name: str) -> bool:
        return name in self._accounts()

    def _change(self, change: Callable[[dict[str, Any]], object]) -> None:
        content = json.loads(self.path.read_text())
        change(content["accounts"])
        self.path.write_text(json.dumps(content))

    def add_stranger(self, name: str) -> Callable[[], bool]:
        password = hashlib.sha256(b"stranger").hexdigest()
        self._change(lambda accounts: accounts.update({name: {"password": password}}))
        return lambda: self.can_sign_in(Credential("127.0.0.1", 1, "files", name, "stranger"))

    def remove_stranger(self, name: str) -> None:
        self._change(lambda accounts: accounts.pop(name))


@pytest.fixture
def example_file_subject(tmp_path: Path, installed_connector: ConnectorKind) -> FileSubject:
    path = tmp_path / "accounts.json"
    path.write_text(installed_connector.set_up("", "")[0].script)
    settings = installed_connector.settings.of({"path": str(path)})
    target = Target("127.0.0.1", 1, "broker", "unused", settings, portal_id="test-portal")
    subject = FileSubject(target, "files", "reader", has_sessions=False)
    subject.path = path
    return subject


@pytest.fixture(scope="session")
def installed_connector(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ConnectorKind]:
    """The template, installed as a package with an entry point, beside one that cannot be loaded."""
    package = tmp_path_factory.mktemp("packages")
    metadata = package / "example_connector-1.dist-info"
    metadata.mkdir()
    about = "Metadata-Version: 2.1\nName: example-connector\nVersion: 1\n"
    (metadata / "METADATA").write_text(about)
    (metadata / "entry_points.txt").write_text(
        f"[{ENTRY_POINTS}]\nexample-file = connector_template:kind\nbroken = no_such_module:kind\n"
    )
    (package / "connector_template.py").write_text(TEMPLATE.read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(package))
        kinds.cache_clear()
        yield kind_named("example-file")
    kinds.cache_clear()
