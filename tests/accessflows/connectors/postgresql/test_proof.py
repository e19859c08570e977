"""A proof holds only if the target says that nothing is left, and says how it was checked."""

import uuid
from datetime import UTC, datetime, timedelta

import psycopg

from accessflows.connectors.postgresql.connection import connect_as_broker
from accessflows.connectors.postgresql.roles import marked_roles
from accessflows.connectors.registry import connector_for
from tests.accessflows.connectors.conftest import Grant, MakeGrant
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")


def test_proof_holds_after_the_end_and_names_what_was_read(grant: Grant) -> None:
    assert not grant.proof_holds()
    grant.end()
    proof = postgresql.prove(grant.pg.target, grant.identity)
    assert proof.holds
    assert abs(proof.checked_at - datetime.now(UTC)) < timedelta(seconds=5)
    assert set(proof.details["databases_read"]) >= {"orders", "orders_staging", "billing"}


def test_proof_sees_an_open_session(grant: Grant) -> None:
    with grant.log_in():
        grant.pg.ask(f"DROP ROLE {grant.role}")
        proof = postgresql.prove(grant.pg.target, grant.identity)
    assert (proof.role_removed, proof.no_open_sessions, proof.holds) == (True, False, False)


def test_proof_sees_a_role_that_took_the_name(grant: Grant) -> None:
    grant.end()
    grant.pg.ask(f"CREATE ROLE {grant.role}")
    assert not postgresql.prove(grant.pg.target, grant.identity).role_removed


def test_proof_reads_the_access_lists_themselves(grant: Grant) -> None:
    """A right outlives its role only through damage to the catalogs, so do some."""
    pg = grant.pg
    grant.end()
    with pg.admin("orders") as admin, admin.transaction():
        admin.execute("CREATE TABLE sales.damaged (id int)")
        admin.execute("SET LOCAL allow_system_table_mods = on")
        admin.execute(
            "UPDATE pg_class SET relacl = ARRAY[makeaclitem(%s, 10, 'SELECT', false)]"
            " WHERE oid = 'sales.damaged'::regclass",
            [grant.identity.mark],
        )
    try:
        proof = postgresql.prove(pg.target, grant.identity)
    finally:
        pg.ask("DROP TABLE sales.damaged", database="orders")
    assert not proof.nothing_left_behind
    assert proof.details["traces"] == {"orders: pg_class.relacl": 1}


def test_database_the_broker_cannot_connect_to_is_named(grant: Grant) -> None:
    pg = grant.pg
    grant.end()
    pg.ask("CREATE DATABASE secret")
    pg.ask("REVOKE CONNECT ON DATABASE secret FROM PUBLIC")
    try:
        proof = postgresql.prove(pg.target, grant.identity)
    finally:
        pg.ask("DROP DATABASE secret")
    assert proof.holds
    assert proof.details["databases_known_from_pg_shdepend_only"] == ["secret"]


def test_marked_roles_are_listed_with_their_own_deadlines(
    pg_target: PgTarget, make_grant: MakeGrant
) -> None:
    grant = make_grant()
    make_grant(portal_id="another-portal")
    pg_target.ask(f"ALTER ROLE {grant.role} VALID UNTIL 'infinity'")
    (marked,) = postgresql.list_managed_accounts(pg_target.target, "test-portal", []).accounts
    assert marked.identity == grant.identity
    assert (marked.grant_id, marked.deadline) == (grant.spec.grant_id, grant.spec.deadline)
    assert (marked.valid_until, marked.can_login) == (None, True)
    with connect_as_broker(pg_target.target) as connection:
        assert len(list(marked_roles(connection, None))) == 2


def test_comments_that_only_look_like_markers_are_ignored(pg_target: PgTarget) -> None:
    comments = (
        "{}",
        '{"apono-portal": "test-portal"}',
        '{"apono-portal": "test-portal", "grant": "x", "deadline": "2030-01-01T00:00:00+00:00"}',
        '{"apono-portal": 1, "grant": [], "deadline": {}}',
        f'{{"apono-portal": "p", "grant": "{uuid.UUID(int=1)}", "deadline": "2030-01-01T00:00:00"}}',
        "{" * 5000,
    )
    pg_target.ask("CREATE ROLE foreign_role")
    try:
        for comment in comments:
            with pg_target.admin() as admin:
                admin.execute(psycopg.sql.SQL("COMMENT ON ROLE foreign_role IS {}").format(comment))
            with connect_as_broker(pg_target.target) as connection:
                assert list(marked_roles(connection, None)) == []
    finally:
        pg_target.ask("DROP ROLE foreign_role")
