"""What a grantee leaves behind is listed and put out of reach, and the role is dropped."""

from dataclasses import replace
from typing import Any, LiteralString

import psycopg
import pytest

from accessflows.connectors.errors import TargetRefused, TargetUnavailable
from accessflows.connectors.registry import connector_for
from tests.accessflows.connectors.conftest import Grant, MakeGrant

postgresql = connector_for("postgresql")

SNOOPING_ROUTINE = (
    "CREATE FUNCTION sales.snoop() RETURNS bigint LANGUAGE sql SECURITY DEFINER"
    " AS 'SELECT count(*) FROM sales.customers'"
)


def leftovers_of(grant: Grant) -> set[tuple[str, str, str]]:
    owned_objects = postgresql.find_owned_objects(grant.pg.target, grant.identity)
    return {(item.database, item.kind, item.name) for item in owned_objects.items}


def owner_of(grant: Grant, table: str, database: str = "orders") -> str:
    return grant.pg.ask(
        "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s::regclass",
        [table],
        database=database,
    )[0][0]


@pytest.fixture
def building(make_grant: MakeGrant, builder: str) -> Grant:
    """A grant with which one can create things."""
    return make_grant(permission=builder)


def test_grant_without_leftovers_leaves_an_empty_list(grant: Grant) -> None:
    with grant.log_in() as session:
        session.execute("SELECT 1")
    assert leftovers_of(grant) == set()


def test_tables_in_two_databases_are_listed_and_moved(building: Grant) -> None:
    for database in ("orders", "orders_staging"):
        with building.log_in(dbname=database) as session:
            session.execute("CREATE TABLE sales.mine AS SELECT * FROM sales.customers")
    building.contain()
    assert leftovers_of(building) == {
        ("orders", "object", "table sales.mine"),
        ("orders_staging", "object", "table sales.mine"),
    }
    cleaning = building.clean()
    assert set(cleaning.databases) == {"orders", "orders_staging"}
    assert owner_of(building, "sales.mine") == "jit_graveyard"
    assert owner_of(building, "sales.mine", "orders_staging") == "jit_graveyard"
    assert building.proof_holds()


def test_moved_data_is_kept(building: Grant) -> None:
    with building.log_in() as session:
        session.execute("CREATE TABLE sales.mine AS SELECT * FROM sales.customers")
    building.end()
    assert building.pg.ask("SELECT count(*) FROM sales.mine", database="orders") == [(100,)]


def test_security_definer_routine_gains_nothing_by_being_moved(
    building: Grant, bystander: psycopg.Connection[Any]
) -> None:
    with building.log_in() as session:
        session.execute(SNOOPING_ROUTINE)
    assert bystander.execute("SELECT sales.snoop()").fetchone() == (100,)
    building.contain()
    kinds = {kind for _, kind, _ in leftovers_of(building)}
    assert "SECURITY DEFINER routine" in kinds
    building.clean()
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="function snoop"):
        bystander.execute("SELECT sales.snoop()")


def test_rights_granted_to_others_are_revoked(
    building: Grant, bystander: psycopg.Connection[Any]
) -> None:
    with building.log_in() as session:
        session.execute("CREATE TABLE sales.copy AS SELECT * FROM sales.customers")
        session.execute("CREATE SEQUENCE sales.numbers")
        session.execute("GRANT SELECT ON sales.copy TO bystander WITH GRANT OPTION")
        session.execute("GRANT SELECT (name) ON sales.copy TO PUBLIC")
        session.execute("GRANT USAGE ON SEQUENCE sales.numbers TO PUBLIC")
    assert bystander.execute("SELECT count(*) FROM sales.copy").fetchone() == (100,)
    bystander.execute("GRANT SELECT ON sales.copy TO PUBLIC")
    building.end()
    for attempt in (
        "SELECT * FROM sales.copy",
        "SELECT name FROM sales.copy",
        "SELECT nextval('sales.numbers')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            bystander.execute(attempt)


def test_default_privileges_are_removed(building: Grant) -> None:
    with building.log_in() as session:
        session.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
    building.contain()
    assert {kind for _, kind, _ in leftovers_of(building)} == {"default privileges"}
    assert [item.kind for item in building.clean().removed] == ["default privileges"]
    assert building.proof_holds()


def test_rights_that_others_granted_by_hand_are_named(building: Grant) -> None:
    """Only who gave a right, or a superuser, can take it back."""
    pg = building.pg
    pg.ask(f"GRANT SELECT ON ledger.invoices TO {building.role}", database="billing")
    pg.ask(f"GRANT TEMPORARY ON DATABASE billing TO {building.role}")
    building.contain()
    assert leftovers_of(building) == {
        ("billing", "right", "table ledger.invoices"),
        ("postgres", "right", "database billing"),
    }
    with pytest.raises(
        TargetRefused, match=f'billing, the whole server.*OWNED BY "{building.role}"'
    ):
        building.clean()
    assert not building.proof_holds()
    pg.ask(f"DROP OWNED BY {building.role}", database="billing")
    building.clean()
    assert building.proof_holds()


@pytest.mark.parametrize(
    "right", ["DELETE", "TRIGGER", "REFERENCES", "SELECT (id)", "UPDATE (issued_on)"]
)
def test_right_given_by_a_superuser_leads_to_the_sql_that_ends_it(
    grant: Grant, right: LiteralString
) -> None:
    pg = grant.pg
    pg.ask(f"GRANT {right} ON ledger.invoices TO {grant.role}", database="billing")
    grant.contain()
    with pytest.raises(TargetRefused, match="Ask a superuser to run this there") as end:
        grant.clean()
    pg.ask(end.value.sentence.rpartition("run this there: ")[2], database="billing")
    grant.clean()
    assert grant.proof_holds()


def test_schema_that_the_graveyard_cannot_use_leads_to_the_sql_that_ends_it(
    building: Grant,
) -> None:
    pg = building.pg
    pg.ask("REVOKE ALL ON SCHEMA sales FROM jit_graveyard", database="orders")
    with building.log_in() as session:
        session.execute(SNOOPING_ROUTINE)
    building.contain()
    with pytest.raises(TargetRefused, match="permission denied for schema sales") as end:
        building.clean()
    pg.ask(end.value.sentence.rpartition("run this there: ")[2], database="orders")
    building.clean()
    assert building.proof_holds()


def test_large_object_and_type_are_moved(building: Grant) -> None:
    with building.log_in() as session:
        session.execute("SELECT lo_create(4711)")
        session.execute("GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC")
        session.execute("CREATE TYPE sales.mood AS ENUM ('fine')")
        session.execute("GRANT USAGE ON TYPE sales.mood TO portal_broker")
    building.end()
    assert building.proof_holds()
    building.pg.ask("SELECT lo_unlink(4711)", database="orders")


def test_every_kind_of_object_in_an_own_schema_is_moved(building: Grant) -> None:
    pg = building.pg
    pg.ask("GRANT CREATE ON DATABASE orders TO orders_build, jit_graveyard")
    with building.log_in() as session:
        for statement in (
            "CREATE SCHEMA own",
            "CREATE FUNCTION own.fn() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE AGGREGATE own.ag(int) (sfunc = int4pl, stype = int)",
            "CREATE OPERATOR own.@@@ (leftarg = int, rightarg = int, function = int4pl)",
            "CREATE COLLATION own.co (locale = 'C')",
            "CREATE DOMAIN own.dm AS int",
            "CREATE VIEW own.vw AS SELECT 1 AS one",
            "CREATE MATERIALIZED VIEW own.mv AS SELECT 1 AS one",
            "CREATE TEXT SEARCH CONFIGURATION own.ts (copy = pg_catalog.simple)",
            "CREATE PUBLICATION pb",
            "GRANT ALL ON SCHEMA own TO PUBLIC",
        ):
            session.execute(statement)
    building.end()
    assert building.proof_holds()
    pg.ask("REVOKE CREATE ON DATABASE orders FROM orders_build, jit_graveyard")


def test_names_that_need_quoting_are_moved(building: Grant, bystander: Any) -> None:
    hostile = 'a "b"; DROP TABLE sales.orders; --'
    with building.log_in() as session:
        quoted = hostile.replace('"', '""')
        session.execute(f'CREATE TABLE sales."{quoted}" (id int)')
        session.execute(f'GRANT SELECT ON sales."{quoted}" TO PUBLIC')
        session.execute(
            f'CREATE FUNCTION sales."{quoted}"() RETURNS int LANGUAGE sql AS $$SELECT 1$$'
        )
    building.end()
    assert building.proof_holds()
    assert building.pg.ask("SELECT count(*) FROM sales.orders", database="orders") == [(240,)]


def test_routine_planted_in_public_is_not_called_by_the_broker(building: Grant) -> None:
    """A better match in a schema on the search path would be called instead of pg_catalog's own."""
    pg = building.pg
    pg.ask("GRANT CREATE ON SCHEMA public TO orders_build, jit_graveyard", database="orders")
    with building.log_in() as session:
        session.execute("CREATE TABLE public.called (who text)")
        session.execute("GRANT INSERT ON public.called TO PUBLIC")
        session.execute(
            "CREATE FUNCTION public.format(text, text, text, text) RETURNS text LANGUAGE sql"
            " AS 'INSERT INTO public.called VALUES (current_user); SELECT $$SELECT 1$$::text'"
        )
        session.execute("SELECT format('%s', 'a'::text, 'b'::text, 'c'::text)")
    building.end()
    assert pg.ask("SELECT who FROM public.called", database="orders") == [(building.role,)]
    pg.ask("REVOKE CREATE ON SCHEMA public FROM orders_build, jit_graveyard", database="orders")


def test_cleaning_before_containment_is_refused_and_moves_nothing(building: Grant) -> None:
    with building.log_in() as session:
        session.execute("CREATE TABLE sales.mine (id int)")
        with pytest.raises(TargetRefused, match="Contain the grant"):
            building.clean()
        assert owner_of(building, "sales.mine") == building.role
    assert building.can_log_in()


def test_cleaning_again_is_success(grant: Grant) -> None:
    grant.end()
    assert grant.clean().was_absent


def test_failed_move_destroys_nothing_and_can_be_repeated(building: Grant) -> None:
    """Without the graveyard's right to create in the schema the routine cannot be moved."""
    pg = building.pg
    with building.log_in() as session:
        session.execute("CREATE TABLE sales.precious AS SELECT * FROM sales.customers")
        session.execute(SNOOPING_ROUTINE)
    building.contain()
    pg.ask("REVOKE CREATE ON SCHEMA sales FROM jit_graveyard", database="orders")
    with pytest.raises(TargetRefused, match="permission denied for schema sales"):
        building.clean()
    assert pg.ask("SELECT count(*) FROM sales.precious", database="orders") == [(100,)]
    assert not building.can_log_in()
    pg.ask("GRANT CREATE ON SCHEMA sales TO jit_graveyard", database="orders")
    building.clean()
    assert building.proof_holds()


def test_locked_table_makes_cleaning_wait_briefly_and_try_again(building: Grant) -> None:
    with building.log_in() as session:
        session.execute("CREATE TABLE sales.busy (id int)")
    building.contain()
    impatient = replace(building.pg.target, lock_timeout_s=1)
    with building.pg.admin("orders") as admin, admin.transaction():
        admin.execute("LOCK TABLE sales.busy")
        with pytest.raises(TargetUnavailable, match="lock timeout"):
            postgresql.clean(impatient, building.identity)
    building.clean()
    assert building.proof_holds()


def test_rights_end_although_an_accomplice_holds_a_lock(building: Grant, bystander: Any) -> None:
    """Whoever goes on reading a table keeps it from being reassigned, but not its trigger at work."""
    pg = building.pg
    pg.ask("GRANT TRIGGER ON sales.customers TO orders_build", database="orders")
    with building.log_in() as session:
        session.execute("CREATE TABLE sales.copy (name text)")
        session.execute("GRANT SELECT ON sales.copy TO PUBLIC")
        session.execute(
            "CREATE FUNCTION sales.spy() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql"
            " AS $$BEGIN INSERT INTO sales.copy VALUES (NEW.name); RETURN NEW; END$$"
        )
        session.execute(
            "CREATE TRIGGER spy BEFORE UPDATE ON sales.customers"
            " FOR EACH ROW EXECUTE FUNCTION sales.spy()"
        )
    building.contain()
    impatient = replace(pg.target, lock_timeout_s=1)
    with pg.admin("orders") as accomplice, accomplice.transaction():
        accomplice.execute("LOCK TABLE sales.copy IN ACCESS SHARE MODE")
        with pytest.raises(TargetUnavailable, match="lock timeout"):
            postgresql.clean(impatient, building.identity)
        pg.ask("UPDATE sales.customers SET name = name WHERE id = 1", database="orders")
        assert pg.ask("SELECT count(*) FROM sales.copy", database="orders") == [(0,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            bystander.execute("SELECT FROM sales.copy")
    building.clean()
    pg.ask("DROP TRIGGER spy ON sales.customers", database="orders")
    pg.ask("REVOKE TRIGGER ON sales.customers FROM orders_build", database="orders")


def test_trigger_of_the_grantee_on_anothers_table_is_listed_and_disarmed(
    building: Grant,
) -> None:
    pg = building.pg
    pg.ask("GRANT TRIGGER ON sales.orders TO orders_build", database="orders")
    with building.log_in() as session:
        session.execute(
            "CREATE FUNCTION sales.bomb() RETURNS trigger LANGUAGE plpgsql"
            " AS $$BEGIN RAISE EXCEPTION 'boom'; END$$"
        )
        session.execute(
            "CREATE TRIGGER bomb BEFORE UPDATE ON sales.orders"
            " FOR EACH ROW EXECUTE FUNCTION sales.bomb()"
        )
    building.contain()
    assert ("orders", "trigger", "trigger bomb on table sales.orders") in leftovers_of(building)
    building.clean()
    assert pg.ask(
        "UPDATE sales.orders SET status = 'held' WHERE id = 1 RETURNING status", database="orders"
    ) == [("held",)]
    pg.ask("DROP TRIGGER bomb ON sales.orders", database="orders")
    pg.ask("REVOKE TRIGGER ON sales.orders FROM orders_build", database="orders")
