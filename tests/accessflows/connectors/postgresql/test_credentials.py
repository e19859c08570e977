"""The password is the owner's alone, works until the end and never after."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from accessflows.connectors.errors import TargetMismatch, TargetRefused
from accessflows.connectors.registry import connector_for
from tests.accessflows.connectors.conftest import Grant, MakeGrant
from tests.fixtures.postgres import BROKER_PASSWORD, PgTarget

postgresql = connector_for("postgresql")


def test_nobody_signs_in_before_the_credential_is_issued(pg_target: PgTarget) -> None:
    spec = pg_target.spec()
    postgresql.activate(pg_target.target, spec)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        pg_target.admin("orders", user=spec.login, password="a guess")


def test_login_works_before_the_end_and_is_refused_after(grant: Grant) -> None:
    with grant.log_in() as session:
        assert session.execute("SELECT current_user").fetchone() == (grant.role,)
    grant.contain()
    assert not grant.can_log_in()
    grant.clean()
    assert not grant.can_log_in()


def test_the_target_itself_ends_logins_at_the_deadline(make_grant: MakeGrant) -> None:
    """A real server's clock: the portal does nothing here."""
    grant = make_grant(deadline=datetime.now(UTC) + timedelta(seconds=1.2))
    assert grant.can_log_in()
    grant.pg.ask("SELECT pg_sleep(1.3)")
    assert not grant.can_log_in()


def test_more_connections_than_agreed_are_refused(make_grant: MakeGrant) -> None:
    grant = make_grant(connection_limit=2)
    with grant.log_in(), grant.log_in(), pytest.raises(psycopg.OperationalError, match="too many"):
        grant.log_in()


def test_password_is_random_long_and_not_shown_by_repr(make_grant: MakeGrant) -> None:
    first, second = make_grant().credential, make_grant().credential
    assert first.password != second.password
    assert len(first.password) >= 32
    assert first.password not in f"{first!r} {first.as_dict()}"


def test_issuing_after_containment_is_refused(grant: Grant) -> None:
    grant.contain()
    with pytest.raises(TargetRefused, match="has expired or was revoked"):
        postgresql.issue_credential(grant.pg.target, grant.spec, grant.identity)
    assert not grant.can_log_in()


def test_issuing_for_a_missing_role_is_refused(grant: Grant) -> None:
    grant.end()
    with pytest.raises(TargetRefused, match="no longer exists"):
        postgresql.issue_credential(grant.pg.target, grant.spec, grant.identity)


def test_no_password_is_set_on_a_role_that_took_the_name(grant: Grant) -> None:
    grant.end()
    grant.pg.ask(f"CREATE ROLE {grant.role}")
    with pytest.raises(TargetMismatch):
        postgresql.issue_credential(grant.pg.target, grant.spec, grant.identity)
    assert grant.pg.ask("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", [grant.role]) == [
        (False,)
    ]


def test_reset_invalidates_the_old_password_and_keeps_sessions(grant: Grant) -> None:
    with grant.log_in() as session:
        fresh = postgresql.reset_credential(
            grant.pg.target, grant.spec, grant.identity, terminate_sessions=False
        )
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert not grant.can_log_in()
    grant.pg.log_in(fresh).close()


def test_reset_terminates_sessions_on_request(grant: Grant) -> None:
    session = grant.log_in()
    postgresql.reset_credential(
        grant.pg.target, grant.spec, grant.identity, terminate_sessions=True
    )
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")


def test_reset_after_the_end_is_refused(grant: Grant) -> None:
    grant.contain()
    with pytest.raises(TargetRefused):
        postgresql.reset_credential(
            grant.pg.target, grant.spec, grant.identity, terminate_sessions=True
        )


def test_sign_in_in_progress_during_containment_is_refused(grant: Grant) -> None:
    """The sign-in conversation began before the cut; its last message comes after it."""
    conninfo = psycopg.conninfo.make_conninfo(
        host=grant.credential.host,
        port=grant.credential.port,
        dbname="orders",
        user=grant.role,
        password=grant.credential.password,
        sslmode="disable",
        gssencmode="disable",
    )
    slow = psycopg.pq.PGconn.connect_start(conninfo.encode())
    _talk(slow, until=3)
    grant.contain()
    _talk(slow, until=1000)
    assert slow.status != psycopg.pq.ConnStatus.OK


def _talk(connection: psycopg.pq.PGconn, *, until: int) -> None:
    import select

    for _ in range(until):
        wants = connection.connect_poll()
        if wants == psycopg.pq.PollingStatus.READING:
            select.select([connection.socket], [], [], 5)
        elif wants == psycopg.pq.PollingStatus.WRITING:
            select.select([], [connection.socket], [], 5)
        else:
            return


def test_no_password_reaches_the_servers_log(grant: Grant) -> None:
    """The server logs every statement here, also of a change that fails."""
    fresh = postgresql.reset_credential(
        grant.pg.target, grant.spec, grant.identity, terminate_sessions=False
    )
    grant.end()
    log = Path(grant.pg.server.log_file).read_text()
    assert grant.role in log
    for secret in (grant.credential.password, fresh.password, BROKER_PASSWORD):
        assert secret not in log


def test_no_password_reaches_our_log(
    pg_target: PgTarget, make_grant: MakeGrant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as entries:
        grant = make_grant()
        grant.end()
    logged = f"{entries} {caplog.text}"
    assert grant.role in logged
    for secret in (grant.credential.password, BROKER_PASSWORD, "SCRAM-SHA-256$"):
        assert secret not in logged
