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
        "Leave objects",
        "Contain",
        "Sign in again",
        "Clean",
        "Prove",
        "Remove objects",
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


def test_canary_leaves_one_object_of_every_kind_and_removes_them(
    pg_target: PgTarget, builder: str
) -> None:
    pg_target.ask(f"GRANT CREATE ON DATABASE orders TO {builder}, jit_graveyard")
    owned = "SELECT count(*) FROM pg_shdepend WHERE refobjid = 'jit_graveyard'::regrole AND deptype = 'o'"
    before = pg_target.ask(owned)
    try:
        checks = list(postgresql.canary(pg_target.target, "orders", builder, portal_id="p"))
    finally:
        pg_target.ask(f"REVOKE CREATE ON DATABASE orders FROM {builder}, jit_graveyard")
    assert [check.sentence for check in checks if not check.ok] == []
    left = next(check.sentence for check in checks if check.name == "Leave objects")
    for kind in ("schema", "table", "view", "function", "type", "sequence", "large object"):
        assert kind in left
    assert "Removed: 22." in checks[-1].sentence
    assert pg_target.ask(owned) == before


def test_canary_sees_a_cleanup_that_would_never_finish(pg_target: PgTarget, builder: str) -> None:
    pg_target.ask("REVOKE ALL ON SCHEMA sales FROM jit_graveyard", database="orders")
    checks = list(postgresql.canary(pg_target.target, "orders", builder, portal_id="p"))
    assert (checks[-1].name, checks[-1].ok) == ("Clean", False)
    assert "permission denied for schema sales" in checks[-1].sentence
    [role] = pg_target.grant_roles()
    pg_target.ask(
        f"REASSIGN OWNED BY {role} TO jit_graveyard; DROP OWNED BY {role}", database="orders"
    )
