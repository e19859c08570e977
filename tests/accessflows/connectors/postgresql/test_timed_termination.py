"""At the deadline, sessions are terminated of those grants that have expired by the target's clock."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from accessflows.connectors.registry import connector_for

pytestmark = pytest.mark.target
postgresql = connector_for("postgresql")


def move_end(grant, until: datetime) -> None:
    grant.pg.ask(f"ALTER ROLE {grant.role} VALID UNTIL '{until.isoformat()}'")


def tell(grant, at: datetime) -> int:
    return postgresql.terminate_sessions_at(grant.pg.target, [grant.identity], at).get(
        grant.identity, 0
    )


def is_open(session: psycopg.Connection) -> bool:  # type: ignore[type-arg]
    time.sleep(0.1)
    try:
        return session.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_a_session_is_terminated_at_its_deadline(grant):
    session = grant.log_in()
    at = datetime.now(UTC) + timedelta(seconds=0.5)
    move_end(grant, at)
    assert tell(grant, at) == 1
    assert datetime.now(UTC) > at
    assert not is_open(session)


def test_an_extended_grant_keeps_its_sessions(grant):
    with grant.log_in() as session:
        assert tell(grant, datetime.now(UTC)) == 0
        assert is_open(session)


def test_it_does_not_wait_for_a_distant_deadline(grant):
    began = time.monotonic()
    tell(grant, datetime.now(UTC) + timedelta(hours=1))
    assert time.monotonic() - began < 4


def test_on_another_server_no_session_is_terminated(grant):
    with grant.log_in() as session:
        move_end(grant, datetime.now(UTC))
        elsewhere = replace(grant.identity, server_id="1")
        assert (
            postgresql.terminate_sessions_at(grant.pg.target, [elsewhere], datetime.now(UTC)) == {}
        )
        assert is_open(session)


def test_one_superuser_does_not_keep_others_open(make_grant):
    powerful, plain = make_grant(), make_grant()
    sessions = [powerful.log_in(), plain.log_in()]
    powerful.pg.ask(f"ALTER ROLE {powerful.role} SUPERUSER")
    for grant in (powerful, plain):
        move_end(grant, datetime.now(UTC))
    both = [powerful.identity, plain.identity]
    terminated = postgresql.terminate_sessions_at(plain.pg.target, both, datetime.now(UTC))
    assert terminated == {plain.identity: 1}
    for session in sessions:
        session.close()
