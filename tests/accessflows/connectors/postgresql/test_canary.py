"""The canary goes through the whole cycle of a grant and reports each step."""

from accessflows.connectors.registry import connector_for
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")


def run_canary(pg: PgTarget, permission: str = "orders_read") -> list[tuple[str, bool]]:
    steps = postgresql.canary(pg.target, "orders", permission, portal_id="test-portal")
    return [(check.name, check.ok) for check in steps]


def test_canary_goes_through_every_step(pg_target: PgTarget) -> None:
    steps = run_canary(pg_target)
    assert [name for name, ok in steps if ok] == [
        "Create",
        "Issue credential",
        "Sign in",
        "Wrong password",
        "Contain",
        "Sign in again",
        "Clean",
        "Prove",
    ]
    assert pg_target.grant_roles() == []


def test_canary_of_a_forbidden_permission_is_one_failed_check(pg_target: PgTarget) -> None:
    assert run_canary(pg_target, "pg_read_all_data") == [("Create", False)]
    assert pg_target.grant_roles() == []


def test_abandoned_canary_cleans_up(pg_target: PgTarget) -> None:
    steps = postgresql.canary(pg_target.target, "orders", "orders_read", portal_id="p")
    next(steps)
    assert len(pg_target.grant_roles()) == 1
    steps.close()
    assert pg_target.grant_roles() == []
