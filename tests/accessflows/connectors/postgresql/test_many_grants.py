"""Grants come and go by the thousand; nothing may pile up on the target."""

import os
from collections.abc import Iterator

import pytest

from accessflows.connectors import idle_pool
from accessflows.connectors.protocol import Containment
from accessflows.connectors.registry import connector_for
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")

pytestmark = pytest.mark.target
GRANTS = int(os.environ.get("APONO_TEST_GRANTS", "120"))


@pytest.fixture(autouse=True)
def as_a_worker_does() -> Iterator[None]:
    idle_pool.connections.is_enabled = True
    yield
    idle_pool.connections.stop()


def catalog_sizes(pg: PgTarget) -> list[tuple[int, ...]]:
    return pg.ask(
        "SELECT (SELECT count(*) FROM pg_roles), (SELECT count(*) FROM pg_auth_members),"
        " (SELECT count(*) FROM pg_shdepend), (SELECT count(*) FROM pg_shdescription)"
    )


def test_grants_by_the_hundred_on_one_permission(pg_target: PgTarget) -> None:
    """Rights come through membership, so no access list grows: with a grant on the table itself
    its row would be too big at about 2,441 roles. APONO_TEST_GRANTS=2500 goes there."""
    before = catalog_sizes(pg_target)
    identities = [
        postgresql.activate(pg_target.target, pg_target.spec(connection_limit=0)).identity
        for _ in range(GRANTS)
    ]
    outcomes = postgresql.contain_many(pg_target.target, identities)
    assert all(isinstance(outcome, Containment) for outcome in outcomes.values())
    for identity in identities:
        postgresql.clean(pg_target.target, identity)
    assert catalog_sizes(pg_target) == before
