"""The SQL shown to administrators works as it is shown, more than once, with any names."""

from collections.abc import Iterator

import pytest
from psycopg import sql

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql import kind
from accessflows.connectors.postgresql.setup_sql import broker_setup_sql
from accessflows.connectors.protocol import Target
from accessflows.connectors.registry import connector_for
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")

BROKER, ROLE, DATABASE, PASSWORD = 'my "broker"', "read 🦊", "own'db", "it's \\ a password"


@pytest.fixture
def own_target(pg_target: PgTarget) -> Iterator[Target]:
    """A target that an administrator has set up with the SQL of the documentation."""
    pg_target.ask(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    setup = broker_setup_sql(
        pg_target.version, broker=BROKER, capabilities={ROLE: [DATABASE]}, password=PASSWORD
    )
    for _ in range(2):
        pg_target.ask(setup.encode())
    pg_target.ask(
        sql.SQL("GRANT CONNECT ON DATABASE postgres TO {}").format(sql.Identifier(BROKER))
    )
    yield pg_target.with_target(user=BROKER, password=PASSWORD)
    pg_target.ask(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(DATABASE)))
    for role in (ROLE, BROKER):
        pg_target.ask(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
        pg_target.ask(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_documented_sql_makes_a_target_that_passes_the_canary(own_target: Target) -> None:
    checks = list(postgresql.canary(own_target, DATABASE, ROLE, portal_id="test"))
    assert [check.sentence for check in checks if not check.ok] == []
    assert len(checks) == 10


def test_documented_sql_gives_the_broker_no_access_to_data(
    own_target: Target, pg_target: PgTarget
) -> None:
    pg_target.ask("CREATE TABLE secret (id int)", database=DATABASE)
    pg_target.ask(
        sql.SQL("GRANT SELECT ON secret TO {}").format(sql.Identifier(ROLE)), database=DATABASE
    )
    has = "SELECT has_table_privilege(%s, 'secret', 'SELECT'), has_table_privilege(%s, 'secret', 'SELECT')"
    assert pg_target.ask(has, [BROKER, ROLE], database=DATABASE) == [(False, True)]


def test_broker_with_a_reserved_name_is_refused() -> None:
    with pytest.raises(TargetRefused):
        broker_setup_sql(18, broker="pg_broker", capabilities={})


def test_the_guided_set_up_makes_a_broker_that_signs_in(pg_target: PgTarget) -> None:
    """Only a verifier of the password is in the script, and so in the server's log."""
    script = kind.set_up("second_broker", "the-password")[0].script
    if pg_target.version < 16:
        pytest.skip("The set-up is for version 16 and newer.")
    assert "the-password" not in script
    try:
        pg_target.ask(script)
        pg_target.ask("GRANT CONNECT ON DATABASE postgres TO second_broker")
        with pg_target.admin(user="second_broker", password="the-password") as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("second_broker",)
    finally:
        pg_target.ask("DROP OWNED BY second_broker; DROP ROLE second_broker")
