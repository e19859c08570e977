"""What a grantee gives to others as the capability role: refused unless accepted, found and undone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString

import psycopg
import pytest

from accessflows.connectors.errors import TargetRefused, TargetUnavailable
from accessflows.connectors.protocol import PermissionEntry
from accessflows.connectors.registry import connector_for
from tests.accessflows.connectors.conftest import Grant, MakeGrant
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")

PEEK = (
    "CREATE FUNCTION sales.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER"
    " AS 'SELECT count(*) FROM sales.orders'"
)
DEFAULTS: LiteralString = "ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT SELECT ON TABLES TO PUBLIC"


@pytest.fixture
def owner(pg_target: PgTarget) -> Iterator[str]:
    """A capability role that owns a table and a schema in orders."""
    admin = " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE" if pg_target.version >= 16 else ""
    pg_target.ask("CREATE ROLE app; CREATE ROLE orders_owner")
    pg_target.ask(f"GRANT orders_owner TO portal_broker{admin}")
    pg_target.ask("GRANT CONNECT ON DATABASE orders TO orders_owner")
    for statement in (
        "CREATE SCHEMA own AUTHORIZATION orders_owner",
        "CREATE TABLE own.stock AS SELECT 1 AS id, 'x' AS name",
        "ALTER TABLE own.stock OWNER TO orders_owner",
        "GRANT SELECT ON own.stock TO app",
    ):
        pg_target.ask(statement, database="orders")
    yield "orders_owner"
    for database in ("orders", "postgres"):
        pg_target.ask("DROP OWNED BY orders_owner, app CASCADE", database=database)
    pg_target.ask("DROP ROLE orders_owner, app")


@pytest.fixture
def owning(make_grant: MakeGrant, owner: str) -> Grant:
    return make_grant(permission=owner, allow_delegation=True)


@pytest.fixture
def reader(pg_target: PgTarget) -> Iterator[str]:
    """An ordinary capability role of its own, so that what a test does to it stays there."""
    admin = " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE" if pg_target.version >= 16 else ""
    pg_target.ask("CREATE ROLE orders_look")
    pg_target.ask(f"GRANT orders_look TO portal_broker{admin}")
    pg_target.ask("GRANT CONNECT ON DATABASE orders TO orders_look")
    pg_target.ask("GRANT USAGE ON SCHEMA sales TO orders_look", database="orders")
    pg_target.ask("GRANT SELECT ON sales.orders TO orders_look", database="orders")
    yield "orders_look"
    for database in ("orders", "postgres"):
        pg_target.ask("DROP OWNED BY orders_look CASCADE", database=database)
        pg_target.ask("DROP OWNED BY jit_graveyard CASCADE", database=database)
    pg_target.ask("DROP ROLE orders_look")


def keys_of(pg: PgTarget, permission: str) -> list[str]:
    return postgresql.read_permission(pg.target, permission).keys


def end(grant: Grant, before: list[str]) -> list[PermissionEntry]:
    """End a grant as the worker does; the changes that were undone."""
    pg, permission = grant.pg, grant.spec.permission
    grant.contain()
    changes = postgresql.read_permission(pg.target, permission).changes_since(before)
    postgresql.undo_permission_changes(pg.target, permission, changes)
    assert postgresql.read_permission(pg.target, permission).changes_since(before) == []
    grant.clean()
    assert grant.proof_holds()
    return changes


@pytest.mark.parametrize(
    ("right", "database"),
    [
        ("SELECT ON sales.customers", "orders"),
        ("SELECT (name) ON sales.customers", "orders"),
        ("USAGE ON SCHEMA sales", "orders"),
        ("CONNECT ON DATABASE orders", "postgres"),
    ],
)
def test_grant_option_is_refused_unless_the_flow_allows_it(
    pg_target: PgTarget, reader: str, right: LiteralString, database: str
) -> None:
    pg_target.ask(f"GRANT {right} TO {reader} WITH GRANT OPTION", database=database)
    with pytest.raises(TargetRefused, match=r"WITH GRANT OPTION.*allow this on the access flow"):
        postgresql.check_permission(pg_target.target, reader)
    with pytest.raises(TargetRefused, match="WITH GRANT OPTION"):
        postgresql.activate(pg_target.target, pg_target.spec(permission=reader))
    assert pg_target.grant_roles() == []
    postgresql.check_permission(pg_target.target, reader, allow_delegation=True)
    postgresql.activate(pg_target.target, pg_target.spec(permission=reader, allow_delegation=True))


def test_discovery_says_how_access_could_be_passed_on(pg_target: PgTarget, owner: str) -> None:
    roles = {role.name: role for role in postgresql.discover(pg_target.target).permissions}
    assert roles[owner].refusal == ""
    assert "owns objects" in roles[owner].delegation
    assert roles["orders_read"].delegation == ""


def test_role_with_rights_where_the_broker_cannot_connect_is_refused(
    pg_target: PgTarget, reader: str
) -> None:
    pg_target.ask(f"GRANT SELECT ON ledger.invoices TO {reader}", database="billing")
    pg_target.ask(f"GRANT CONNECT ON DATABASE billing TO {reader}")
    pg_target.ask("REVOKE CONNECT ON DATABASE billing FROM portal_broker")
    if pg_target.version < 16:  # else it inherits the right
        pg_target.ask(f"REVOKE {reader} FROM portal_broker")
    try:
        with pytest.raises(TargetRefused, match="can't connect to billing"):
            postgresql.activate(pg_target.target, pg_target.spec(permission=reader))
    finally:
        pg_target.ask("GRANT CONNECT ON DATABASE billing TO portal_broker")
        pg_target.ask(f"DROP OWNED BY {reader}", database="billing")


def test_rights_given_by_the_owner_are_undone_and_older_ones_stay(owning: Grant) -> None:
    pg = owning.pg
    before = keys_of(pg, "orders_owner")
    assert len(before) > 1
    with owning.log_in() as session:
        for statement in (
            "GRANT INSERT ON own.stock TO app",
            "GRANT SELECT (id) ON own.stock TO PUBLIC",
            f"GRANT SELECT ON own.stock TO {owning.role} WITH GRANT OPTION",
            "GRANT USAGE ON SCHEMA own TO PUBLIC",
            "ALTER TABLE own.stock RENAME TO goods",
            "ALTER DEFAULT PRIVILEGES FOR ROLE orders_owner IN SCHEMA own GRANT ALL ON TABLES TO app",
        ):
            session.execute(statement)
    texts = {change.text for change in end(owning, before)}
    assert "INSERT on table own.goods to app" in texts
    assert "SELECT (id) on table own.goods to PUBLIC" in texts
    assert "USAGE on schema own to PUBLIC" in texts
    assert "SELECT on future tables in schema own to app" in texts
    assert f"GRANT OPTION FOR SELECT on table own.goods to {owning.role}" in texts
    assert not any(text.startswith("SELECT on table own.goods to app") for text in texts)
    may = "SELECT has_table_privilege('app', 'own.goods', %s)"
    assert pg.ask(may, ["SELECT"], database="orders") == [(True,)]
    assert pg.ask(may, ["INSERT"], database="orders") == [(False,)]
    assert keys_of(pg, "orders_owner") == before
    pg.ask("ALTER TABLE own.goods RENAME TO stock", database="orders")


def test_grant_option_that_was_passed_on_twice_is_undone(
    pg_target: PgTarget, reader: str, make_grant: MakeGrant, bystander: psycopg.Connection[object]
) -> None:
    pg_target.ask(
        f"GRANT SELECT ON sales.customers TO {reader} WITH GRANT OPTION", database="orders"
    )
    grant = make_grant(permission=reader, allow_delegation=True)
    before = keys_of(pg_target, reader)
    with grant.log_in() as session:
        session.execute("GRANT SELECT ON sales.customers TO bystander WITH GRANT OPTION")
    bystander.execute("GRANT SELECT ON sales.customers TO PUBLIC")
    assert bystander.execute("SELECT count(*) FROM sales.customers").fetchone() == (100,)
    end(grant, before)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        bystander.execute("SELECT count(*) FROM sales.customers")


def test_default_privileges_of_an_ordinary_permission_are_undone(
    pg_target: PgTarget, reader: str, make_grant: MakeGrant
) -> None:
    grant = make_grant(permission=reader)
    before = keys_of(pg_target, reader)
    assert before == [":role:orders_look"]
    with grant.log_in() as session:
        session.execute(DEFAULTS.format(reader).encode())
    with pytest.raises(TargetRefused, match="default privileges"):
        postgresql.activate(pg_target.target, pg_target.spec(permission=reader))
    assert [change.text for change in end(grant, before)] == ["SELECT on future tables to PUBLIC"]
    postgresql.activate(pg_target.target, pg_target.spec(permission=reader))


def test_nothing_stays_of_a_session_that_became_the_permission(
    pg_target: PgTarget, reader: str, make_grant: MakeGrant
) -> None:
    """Before version 16, SET ROLE cannot be forbidden; from then on, all of it is refused."""
    pg_target.ask("GRANT CREATE ON SCHEMA sales TO orders_look, jit_graveyard", database="orders")
    pg_target.ask("GRANT USAGE ON SCHEMA sales TO jit_graveyard", database="orders")
    grant = make_grant(permission=reader)
    before = keys_of(pg_target, reader)
    with grant.log_in() as session:
        if pg_target.version >= 16:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(f"SET ROLE {reader}".encode())
            return
        for statement in (
            f"SET ROLE {reader}",
            f"ALTER ROLE {reader} PASSWORD 'mine'",
            f"ALTER ROLE {reader} SET statement_timeout = 0",
            f"ALTER ROLE {reader} IN DATABASE orders SET search_path = sales, public",
            PEEK,
            "CREATE TABLE sales.copied AS SELECT * FROM sales.orders",
            "GRANT SELECT ON sales.copied TO PUBLIC",
        ):
            session.execute(statement.encode())
    texts = {change.text for change in end(grant, before)}
    assert {
        f"a password of {reader}",
        f"statement_timeout=0 set for {reader}",
        f"search_path=sales, public set for {reader}",
        f"function sales.peek(), owned by {reader}",
        f"table sales.copied, owned by {reader}",
        "EXECUTE on routine sales.peek() to PUBLIC",
    } <= texts
    assert pg_target.ask(
        "SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = %s", [reader]
    ) == [(True,)]
    assert pg_target.ask(
        "SELECT pg_get_userbyid(relowner), relacl::text LIKE '%%=r/%%' FROM pg_class"
        " WHERE oid = 'sales.copied'::regclass",
        database="orders",
    ) in ([("jit_graveyard", False)], [("jit_graveyard", None)])
    assert keys_of(pg_target, reader) == before
    postgresql.activate(pg_target.target, pg_target.spec(permission=reader))


def test_broker_keeps_no_membership_after_undoing(owning: Grant) -> None:
    pg = owning.pg
    memberships = (
        "SELECT m.grantor, to_jsonb(m) - 'oid' FROM pg_auth_members m"
        " WHERE roleid = 'orders_owner'::regrole AND member = 'portal_broker'::regrole ORDER BY 1"
    )
    before, members = keys_of(pg, "orders_owner"), pg.ask(memberships)
    with owning.log_in() as session:
        session.execute("GRANT INSERT ON own.stock TO app")
    end(owning, before)
    assert pg.ask(memberships) == members


def test_two_workers_undo_the_same_changes(owning: Grant) -> None:
    pg = owning.pg
    before = keys_of(pg, "orders_owner")
    with owning.log_in() as session:
        session.execute("GRANT INSERT ON own.stock TO app")
    changes = postgresql.read_permission(pg.target, "orders_owner").changes_since(before)
    with ThreadPoolExecutor(4) as pool:
        undone = [
            pool.submit(
                postgresql.undo_permission_changes, pg.target, "orders_owner", changes
            ).exception
            for _ in range(4)
        ]
        failures = [failure for exception in undone if (failure := exception())]
    assert len(failures) < 4
    assert all(isinstance(failure, TargetUnavailable) for failure in failures), failures
    assert keys_of(pg, "orders_owner") == before


def test_what_only_a_superuser_can_undo_leads_to_the_sql_that_does(owning: Grant) -> None:
    pg = owning.pg
    before = keys_of(pg, "orders_owner")
    with owning.log_in() as session:
        session.execute("GRANT INSERT ON own.stock TO app")
    owning.contain()
    changes = postgresql.read_permission(pg.target, "orders_owner").changes_since(before)
    if pg.version < 16:  # CREATEROLE lets the broker become any role
        postgresql.undo_permission_changes(pg.target, "orders_owner", changes)
        return
    pg.ask("REVOKE ADMIN OPTION FOR orders_owner FROM portal_broker")
    with pytest.raises(TargetRefused, match="Ask a superuser to run this there") as refused:
        postgresql.undo_permission_changes(pg.target, "orders_owner", changes)
    pg.ask(refused.value.sentence.rpartition("run this there: ")[2], database="orders")
    assert postgresql.read_permission(pg.target, "orders_owner").changes_since(before) == []


def test_canary_of_such_a_permission_runs_if_a_flow_grants_it(
    pg_target: PgTarget, owner: str
) -> None:
    pg_target.ask("GRANT USAGE, CREATE ON SCHEMA own TO jit_graveyard", database="orders")
    before = keys_of(pg_target, owner)
    refused = list(postgresql.canary(pg_target.target, "orders", owner, portal_id="p"))
    assert [(check.name, check.ok) for check in refused] == [("Create", False)]
    checks = postgresql.canary(
        pg_target.target, "orders", owner, portal_id="p", allow_delegation=True
    )
    assert [check.sentence for check in checks if not check.ok] == []
    assert keys_of(pg_target, owner) == before
