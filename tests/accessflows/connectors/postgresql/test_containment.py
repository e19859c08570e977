"""After containment nobody can use the grant, in whatever state it was."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import LiteralString

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier, Literal
from psycopg_pool import ConnectionPool, PoolTimeout

from accessflows.connectors.errors import ConnectorError, TargetMismatch, TargetUnavailable
from accessflows.connectors.postgresql import backend_sessions
from accessflows.connectors.postgresql.names import lock_key
from accessflows.connectors.registry import connector_for
from tests.accessflows.connectors.conftest import Grant, MakeGrant

postgresql = connector_for("postgresql")


def is_dead(session: psycopg.Connection[object]) -> bool:
    try:
        session.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def test_open_sessions_are_terminated(grant: Grant) -> None:
    idle, in_transaction = grant.log_in(), grant.log_in()
    in_transaction.execute("BEGIN")
    in_transaction.execute("DECLARE held CURSOR WITH HOLD FOR SELECT * FROM sales.orders")
    containment = grant.contain()
    assert containment.sessions_terminated == 2
    assert is_dead(idle)
    assert is_dead(in_transaction)


def test_busy_session_is_terminated(grant: Grant) -> None:
    session = grant.log_in()
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(session.execute, "SELECT pg_sleep(30)")
        while not grant.pg.ask(
            "SELECT 1 FROM pg_stat_activity WHERE usename = %s AND state = 'active'", [grant.role]
        ):
            continue
        grant.contain()
        assert isinstance(busy.exception(timeout=5), psycopg.OperationalError)


def test_session_that_does_not_end_is_not_contained(
    grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that the operating system has stopped stands for one that hangs in a system call."""
    monkeypatch.setattr(backend_sessions, "_WAIT_S", 0.3)
    with grant.log_in() as session:
        os.kill(session.info.backend_pid, signal.SIGSTOP)
        try:
            with pytest.raises(TargetUnavailable, match=r"1 session.* still open"):
                grant.contain()
        finally:
            os.kill(session.info.backend_pid, signal.SIGCONT)
    assert grant.contain().sessions_terminated <= 1


def test_session_that_set_the_capability_role_is_terminated(grant: Grant) -> None:
    """Only possible before version 16; there it would keep the power even over DROP ROLE."""
    session = grant.log_in()
    if grant.pg.version >= 16:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SET ROLE orders_read")
    else:
        session.execute("SET ROLE orders_read")
    grant.contain()
    assert is_dead(session)


def test_grantee_cannot_keep_the_role_open(grant: Grant) -> None:
    with grant.log_in() as session:
        session.execute(f"ALTER ROLE {grant.role} PASSWORD 'my own'")
        for attempt in ("VALID UNTIL 'infinity'", "CONNECTION LIMIT 50", "CREATEROLE"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(f"ALTER ROLE {grant.role} {attempt}")
    grant.contain()
    with pytest.raises(psycopg.OperationalError):
        grant.log_in(password="my own")


def test_containing_again_changes_nothing(grant: Grant) -> None:
    grant.contain()
    again = grant.contain()
    assert (again.sessions_terminated, again.was_absent) == (0, False)


def test_role_dropped_by_hand_under_an_open_session(grant: Grant) -> None:
    session = grant.log_in()
    grant.pg.ask(f"DROP ROLE {grant.role}")
    containment = grant.contain()
    assert (containment.was_absent, containment.orphan_sessions_terminated) == (True, 1)
    assert is_dead(session)
    assert grant.clean().was_absent
    assert grant.proof_holds()


def test_role_renamed_by_hand_is_still_ours(grant: Grant) -> None:
    session = grant.log_in()
    grant.pg.ask(f"ALTER ROLE {grant.role} RENAME TO something_else")
    grant.end()
    assert is_dead(session)
    assert not grant.pg.role_exists("something_else")
    assert grant.proof_holds()


def test_role_that_took_the_name_is_left_alone_with_its_sessions(grant: Grant) -> None:
    grant.end()
    grant.pg.ask(f"CREATE ROLE {grant.role} LOGIN PASSWORD 'x'")
    grant.pg.ask(f"GRANT CONNECT ON DATABASE orders TO {grant.role}")
    with grant.log_in(password="x") as session:
        for call in (grant.contain, grant.clean):
            with pytest.raises(TargetMismatch, match="is not the one the portal created"):
                call()
        assert not is_dead(session)
    grant.pg.ask(f"DROP OWNED BY {grant.role}", database="orders")


def test_role_whose_comment_was_removed_is_disabled_but_not_dropped(grant: Grant) -> None:
    session = grant.log_in()
    grant.pg.ask(f"COMMENT ON ROLE {grant.role} IS 'looking into this'")
    grant.contain()
    assert is_dead(session)
    assert not grant.can_log_in()
    with pytest.raises(TargetMismatch, match="marker"):
        grant.clean()
    assert grant.pg.role_exists(grant.role)


def test_role_that_has_another_grants_marker_stays_untouched(
    make_grant: MakeGrant,
) -> None:
    grant, other = make_grant(), make_grant()
    with grant.log_in() as session:
        mixed_up = replace(grant.identity, name=other.role)
        with pytest.raises(TargetMismatch):
            postgresql.contain(grant.pg.target, mixed_up)
        assert not is_dead(session)
    assert grant.can_log_in()
    assert other.can_log_in()


def test_another_server_at_the_address_stays_untouched(grant: Grant) -> None:
    elsewhere = replace(grant.identity, server_id="42")
    for call in (
        postgresql.contain,
        postgresql.clean,
        postgresql.prove,
        postgresql.find_owned_objects,
    ):
        with pytest.raises(TargetMismatch, match="different server"):
            call(grant.pg.target, elsewhere)
    assert grant.can_log_in()


def test_membership_added_by_another_administrator_is_reported(grant: Grant) -> None:
    """On 16 and later REVOKE takes back only the broker's own grant and reports success."""
    grant.pg.ask(f"GRANT orders_write TO {grant.role}")
    containment = grant.contain()
    left = containment.remaining_memberships
    assert left == (("orders_write",) if grant.pg.version >= 16 else ())
    grant.clean()
    assert grant.proof_holds()


def test_revoking_right_lost_by_the_broker_does_not_stop_containment(grant: Grant) -> None:
    session = grant.log_in()
    grant.pg.ask("REVOKE orders_read FROM portal_broker CASCADE")
    try:
        grant.contain()
        assert is_dead(session)
        assert not grant.can_log_in()
    finally:
        if grant.pg.version >= 16:
            grant.pg.ask(
                "GRANT orders_read TO portal_broker WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
            )


def test_sessions_are_terminated_although_the_right_to_signal_was_taken_away(grant: Grant) -> None:
    session = grant.log_in()
    grant.pg.ask("REVOKE pg_signal_backend FROM portal_broker")
    try:
        grant.contain()
    finally:
        grant.pg.ask("GRANT pg_signal_backend TO portal_broker")
    assert is_dead(session)


def test_two_contain_at_once(grant: Grant) -> None:
    session = grant.log_in()
    with ThreadPoolExecutor(4) as pool:
        outcomes = [pool.submit(grant.contain) for _ in range(4)]
        assert all(not outcome.exception() for outcome in outcomes)
    assert is_dead(session)
    grant.clean()
    assert grant.proof_holds()


def test_many_are_contained_and_one_mismatch_stops_no_other(make_grant: MakeGrant) -> None:
    grants = [make_grant() for _ in range(4)]
    sessions = [grant.log_in() for grant in grants]
    pg = grants[0].pg
    pg.ask(f"COMMENT ON ROLE {grants[1].role} IS NULL")
    pg.ask(f"ALTER ROLE {grants[2].role} SUPERUSER")
    outcomes = postgresql.contain_many(pg.target, [grant.identity for grant in grants])
    failed = [isinstance(outcomes[grant.identity], ConnectorError) for grant in grants]
    assert failed == [False, False, True, False]
    assert [is_dead(session) for session in sessions] == [True, True, False, True]
    sessions[2].close()


def prepare(grant: Grant, gid: str, *statements: LiteralString) -> bool:
    """Prepare a transaction as the grantee. False: the server allows none, as version 15 has to."""
    with grant.log_in() as session:
        session.execute("BEGIN")
        for statement in statements:
            session.execute(SQL(statement).format(role=Identifier(grant.role)))
        try:
            session.execute(SQL("PREPARE TRANSACTION {}").format(Literal(gid)))
        except psycopg.errors.ObjectNotInPrerequisiteState:
            assert grant.pg.version < 16
            return False
    return True


def test_prepared_transaction_is_rolled_back(grant: Grant) -> None:
    lock = "LOCK TABLE sales.orders IN ACCESS SHARE MODE"
    if prepare(grant, "left 'behind", lock):
        assert grant.contain().prepared_transactions == ("left 'behind",)
        assert grant.pg.ask("SELECT 1 FROM pg_prepared_xacts") == []
        grant.clean()
        assert grant.proof_holds()


def test_prepared_transaction_that_locks_its_own_role_stops_nothing(grant: Grant) -> None:
    with grant.log_in() as session:
        if not prepare(grant, "hold", "ALTER ROLE {role} PASSWORD 'x'"):
            return
        assert grant.contain().prepared_transactions == ("hold",)
        assert is_dead(session)
        assert not grant.can_log_in()
        grant.clean()
        assert grant.proof_holds()


def test_prepared_transaction_of_a_contained_grant_is_rolled_back_when_cleaned(
    grant: Grant,
) -> None:
    if prepare(grant, "out of reach", "SELECT 1"):
        grant.pg.ask("ALTER DATABASE orders CONNECTION LIMIT 0")
        try:
            assert grant.contain().prepared_transactions == ("out of reach",)
        finally:
            grant.pg.ask("ALTER DATABASE orders CONNECTION LIMIT -1")
        assert grant.clean().rolled_back == ("out of reach",)
        assert grant.proof_holds()


def test_orphans_prepared_transaction_keeps_the_proof_from_holding(grant: Grant) -> None:
    if prepare(grant, "orphan", "SELECT 1"):
        grant.pg.ask(f"DROP ROLE {grant.role}")
        assert grant.contain().prepared_transactions == ("orphan",)
        proof = postgresql.prove(grant.pg.target, grant.identity)
        assert (proof.holds, proof.nothing_left_behind) == (False, False)
        assert proof.details["prepared_transactions"] == ["orphan"]


def test_role_that_stays_locked_loses_its_memberships_and_sessions(grant: Grant) -> None:
    session = grant.log_in()
    with grant.pg.admin() as holder:
        holder.execute("BEGIN")
        holder.execute(f"ALTER ROLE {grant.role} CONNECTION LIMIT 2")
        with pytest.raises(TargetUnavailable):
            grant.contain()
        assert is_dead(session)
        assert memberships_of(grant) == []
        holder.execute("ROLLBACK")
    grant.end()
    assert grant.proof_holds()


def memberships_of(grant: Grant) -> list[object]:
    query = "SELECT roleid FROM pg_auth_members WHERE member = %s::regrole"
    return grant.pg.ask(query, [grant.role])


def test_a_grantee_that_locks_its_own_role_delays_nobody(make_grant: MakeGrant) -> None:
    grants = [make_grant() for _ in range(3)]
    sessions = [grant.log_in() for grant in grants]
    sessions[1].execute("BEGIN")
    sessions[1].execute(f"ALTER ROLE {grants[1].role} PASSWORD 'mine-now'")
    began = time.monotonic()
    outcomes = postgresql.contain_many(grants[0].pg.target, [grant.identity for grant in grants])
    assert time.monotonic() - began < 2.5
    assert not [one for one in outcomes.values() if isinstance(one, ConnectorError)]
    assert all(is_dead(session) for session in sessions)
    assert not any(grant.can_log_in() for grant in grants)


def test_somebody_elses_lock_on_one_role_stops_no_other(make_grant: MakeGrant) -> None:
    grants = [make_grant() for _ in range(3)]
    sessions = [grant.log_in() for grant in grants]
    pg = grants[0].pg
    with pg.admin() as holder:
        holder.execute("BEGIN")
        holder.execute(f"ALTER ROLE {grants[1].role} CONNECTION LIMIT 2")
        outcomes = postgresql.contain_many(pg.target, [grant.identity for grant in grants])
        holder.execute("ROLLBACK")
    failed = [isinstance(outcomes[grant.identity], ConnectorError) for grant in grants]
    assert failed == [False, True, False]
    assert all(is_dead(session) for session in sessions)
    assert grants[1].contain()


def test_roles_that_stay_locked_delay_no_other(make_grant: MakeGrant) -> None:
    *locked, other = [make_grant() for _ in range(4)]
    pg = other.pg
    with pg.admin() as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("BEGIN")
        for grant in locked:
            holder.execute(f"ALTER ROLE {grant.role} CONNECTION LIMIT 2")
        began = time.monotonic()
        identities = [grant.identity for grant in [*locked, other]]
        containing = pool.submit(postgresql.contain_many, pg.target, identities)
        while pg.ask("SELECT 1 FROM pg_roles WHERE rolcanlogin AND rolname = %s", [other.role]):
            time.sleep(0.01)
        disabled_after_s = time.monotonic() - began
        containing.result()
        holder.execute("ROLLBACK")
    assert disabled_after_s < (time.monotonic() - began) / 2


@pytest.fixture
def resisting(grant: Grant) -> Iterator[Grant]:
    """A grantee that holds its own role's row in open transactions, and comes back when ended."""
    stop = threading.Event()
    change = f"ALTER ROLE {grant.role} PASSWORD '{grant.credential.password}'"

    def resist() -> None:
        while not stop.is_set():
            try:
                with grant.log_in() as session:
                    session.execute("BEGIN")
                    session.execute(change)
                    session.execute("SELECT pg_sleep(20)")
            except psycopg.Error:
                continue

    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            pool.submit(resist)
        while not grant.pg.ask("SELECT 1 FROM pg_stat_activity WHERE query ~ 'pg_sleep.20'"):
            continue
        yield grant
        stop.set()


def test_grantee_that_holds_its_own_role_and_comes_back_is_contained(resisting: Grant) -> None:
    resisting.contain()
    assert not resisting.can_log_in()
    resisting.clean()
    assert resisting.proof_holds()


def test_grantee_that_holds_the_grants_advisory_lock_is_contained(grant: Grant) -> None:
    grant.pg.ask("GRANT CONNECT ON DATABASE postgres TO orders_read")
    try:
        with grant.log_in(dbname="postgres") as session:
            session.execute("SELECT pg_advisory_lock(%s)", [lock_key(grant.spec.grant_id)])
            grant.contain()
            assert is_dead(session)
    finally:
        grant.pg.ask("REVOKE CONNECT ON DATABASE postgres FROM orders_read")
    assert not grant.can_log_in()


def test_a_password_set_during_containment_ends_contained(make_grant: MakeGrant) -> None:
    for _ in range(10):
        grant = make_grant()
        with ThreadPoolExecutor(2) as pool:
            reset = pool.submit(
                postgresql.reset_credential,
                grant.pg.target,
                grant.spec,
                grant.identity,
                terminate_sessions=False,
            )
            pool.submit(grant.contain).result()
            reset.exception()
        assert not grant.can_log_in()
        assert grant.pg.ask(
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", [grant.role]
        ) == [(False,)]


def test_a_pool_of_the_grantees_is_emptied_and_stays_empty(grant: Grant) -> None:
    """It opens new connections by itself as soon as old ones are closed."""
    credential = grant.credential
    where = make_conninfo(host=credential.host, port=credential.port, dbname=credential.resource, user=credential.user, password=credential.password)  # fmt: skip
    with ConnectionPool(where, min_size=2, max_size=3, timeout=1) as pool:
        pool.wait(10)
        assert grant.contain().sessions_terminated >= 2
        with pytest.raises((psycopg.OperationalError, PoolTimeout)), pool.connection() as session:
            session.execute("SELECT 1")
        assert not grant.can_log_in()
