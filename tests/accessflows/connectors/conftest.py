"""Grants on a real target, in each state."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from accessflows.connectors.protocol import Credential, GrantIdentity, GrantSpec
from accessflows.connectors.registry import connector_for
from tests.fixtures import postgres as fixtures
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")


@pytest.fixture(
    scope="session", params=fixtures.versions_to_test(), ids=lambda version: f"pg{version}"
)
def pg_version(request: pytest.FixtureRequest) -> int:
    """Every version, not only the newest one."""
    return request.param


# Made anew for this folder: they follow its pg_version.
provisioned_server = fixtures.provisioned_server
pg_target = fixtures.pg_target


@dataclass
class Grant:
    """An active grant whose owner has revealed the credential."""

    pg: PgTarget
    spec: GrantSpec
    identity: GrantIdentity
    credential: Credential

    @property
    def role(self) -> str:
        return self.identity.name

    def log_in(self, **changes: Any) -> psycopg.Connection[Any]:
        return self.pg.log_in(self.credential, **changes)

    def can_log_in(self) -> bool:
        try:
            self.log_in().close()
        except psycopg.OperationalError:
            return False
        return True

    def contain(self) -> Any:
        return postgresql.contain(self.pg.target, self.identity)

    def clean(self) -> Any:
        return postgresql.clean(self.pg.target, self.identity)

    def end(self) -> None:
        self.contain()
        self.clean()

    def proof_holds(self) -> bool:
        return postgresql.prove(self.pg.target, self.identity).holds


MakeGrant = Callable[..., Grant]


@pytest.fixture
def make_grant(pg_target: PgTarget) -> MakeGrant:
    """`make_grant(permission=..., resource=...)` activates and reveals."""

    def make(**changes: Any) -> Grant:
        spec = pg_target.spec(**changes)
        identity = postgresql.activate(pg_target.target, spec).identity
        credential = postgresql.issue_credential(pg_target.target, spec, identity)
        return Grant(pg_target, spec, identity, credential)

    return make


@pytest.fixture
def grant(make_grant: MakeGrant) -> Grant:
    return make_grant()


@pytest.fixture
def builder(pg_target: PgTarget) -> Iterator[str]:
    """A capability role that can create objects in two databases."""
    role, broker = "orders_build", pg_target.target.user
    pg_target.ask(f"CREATE ROLE {role}")
    admin = " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE" if pg_target.version >= 16 else ""
    pg_target.ask(f"GRANT {role} TO {broker}{admin}")
    for database in ("orders", "orders_staging"):
        pg_target.ask(f"GRANT CONNECT ON DATABASE {database} TO {role}")
        pg_target.ask(
            f"GRANT USAGE, CREATE ON SCHEMA sales TO {role}, jit_graveyard", database=database
        )
        pg_target.ask(f"GRANT SELECT ON ALL TABLES IN SCHEMA sales TO {role}", database=database)
    yield role
    for database in ("orders", "orders_staging"):
        pg_target.ask("DROP OWNED BY jit_graveyard CASCADE", database=database)
        pg_target.ask(f"DROP OWNED BY {role} CASCADE", database=database)
    pg_target.ask(f"DROP ROLE {role}")


@pytest.fixture
def bystander(pg_target: PgTarget) -> Iterator[psycopg.Connection[Any]]:
    """A connection to orders of another account without any rights there."""
    pg_target.ask("CREATE ROLE bystander LOGIN PASSWORD 'bystander'")
    pg_target.ask("GRANT CONNECT ON DATABASE orders TO bystander")
    pg_target.ask("GRANT USAGE ON SCHEMA sales TO bystander", database="orders")
    with pg_target.admin("orders", user="bystander", password="bystander") as connection:
        yield connection
    for database in ("orders", "postgres"):
        pg_target.ask("DROP OWNED BY bystander CASCADE", database=database)
    pg_target.ask("DROP ROLE bystander")
