"""A grant is made whole, for the right role, with a deadline of its own, or not at all."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from accessflows.connectors.errors import (
    ClockSkew,
    ConnectorError,
    TargetMismatch,
    TargetRefused,
)
from accessflows.connectors.protocol import GrantSpec, grant_id_of
from accessflows.connectors.registry import connector_for
from apono_portal.demo.target import provision_target
from tests.accessflows.connectors.conftest import Grant, MakeGrant
from tests.fixtures.postgres import PgTarget, StartServer

postgresql = connector_for("postgresql")


def role_row(pg: PgTarget, name: str) -> dict[str, object]:
    columns = (
        "oid, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,"
        " rolinherit, rolconnlimit, rolvaliduntil"
    )
    row = pg.ask(f"SELECT {columns} FROM pg_roles WHERE rolname = %s", [name])[0]
    return dict(zip(columns.split(", "), row, strict=True))


def test_role_name_is_thirty_characters_and_leads_back_to_the_grant() -> None:
    spec = GrantSpec(uuid.uuid4(), "p", "orders", "orders_read", datetime.now(UTC))
    assert len(spec.login) == 30
    assert grant_id_of(spec.login) == spec.grant_id


def test_deadline_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware datetime"):
        GrantSpec(uuid.uuid4(), "p", "orders", "orders_read", datetime(2030, 1, 1))  # noqa: DTZ001


def test_role_is_created_without_rights_and_without_login(pg_target: PgTarget) -> None:
    spec = pg_target.spec(connection_limit=2)
    activation = postgresql.activate(pg_target.target, spec)
    row = role_row(pg_target, spec.login)
    assert str(row["oid"]) == activation.identity.mark
    assert row["rolconnlimit"] == 2
    assert not any(
        row[name]
        for name in row
        if name.startswith("rol") and name not in {"rolinherit", "rolconnlimit", "rolvaliduntil"}
    )
    password = pg_target.ask("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [spec.login])
    assert password == [(None,)]


def test_deadline_is_the_approved_one(pg_target: PgTarget) -> None:
    spec = pg_target.spec()
    activation = postgresql.activate(pg_target.target, spec)
    stored = role_row(pg_target, spec.login)["rolvaliduntil"]
    assert stored == activation.valid_until
    assert timedelta(0) <= spec.deadline - activation.valid_until < timedelta(seconds=2)


def test_membership_is_inherited_and_cannot_be_set_or_granted_on(grant: Grant) -> None:
    with grant.log_in() as session:
        assert session.execute("SELECT count(*) FROM sales.orders").fetchone() == (240,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("GRANT orders_read TO portal_broker")
        if grant.pg.version >= 16:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute("SET ROLE orders_read")


def test_activating_again_adopts_the_same_role(pg_target: PgTarget) -> None:
    spec = pg_target.spec()
    first = postgresql.activate(pg_target.target, spec)
    again = postgresql.activate(pg_target.target, spec)
    assert (first.already_existed, again.already_existed) == (False, True)
    assert again.identity == first.identity == postgresql.locate(pg_target.target, spec)


def test_activating_again_never_extends_the_deadline(pg_target: PgTarget) -> None:
    spec = pg_target.spec()
    first = postgresql.activate(pg_target.target, spec)
    later = replace(spec, deadline=spec.deadline + timedelta(hours=5))
    assert postgresql.activate(pg_target.target, later).valid_until == first.valid_until


def test_activating_again_shortens_what_was_postponed_by_hand(pg_target: PgTarget) -> None:
    spec = pg_target.spec()
    first = postgresql.activate(pg_target.target, spec)
    pg_target.ask(f"ALTER ROLE {spec.login} VALID UNTIL '2100-01-01'")
    again = postgresql.activate(pg_target.target, spec)
    assert again.valid_until - first.valid_until < timedelta(seconds=5)


def test_activating_again_does_not_shorten_an_extension(pg_target: PgTarget) -> None:
    """As a worker does that was suspended before its call."""
    spec = pg_target.spec()
    first = postgresql.activate(pg_target.target, spec)
    later = replace(spec, deadline=spec.deadline + timedelta(minutes=5))
    extended = postgresql.extend(pg_target.target, later, first.identity, since=None)
    with pytest.raises(TargetRefused, match="extended meanwhile"):
        postgresql.activate(pg_target.target, spec)
    assert role_row(pg_target, spec.login)["rolvaliduntil"] == extended


def test_grant_that_was_contained_is_never_revived(grant: Grant) -> None:
    grant.contain()
    with pytest.raises(TargetRefused, match="already revoked"):
        postgresql.activate(grant.pg.target, grant.spec)
    assert not grant.can_log_in()


def test_foreign_role_with_our_name_stays_untouched(pg_target: PgTarget) -> None:
    spec = pg_target.spec()
    pg_target.ask(f"CREATE ROLE {spec.login} LOGIN PASSWORD 'x' CONNECTION LIMIT 7")
    before = role_row(pg_target, spec.login)
    with pytest.raises(TargetMismatch, match="was not created for this grant"):
        postgresql.activate(pg_target.target, spec)
    assert role_row(pg_target, spec.login) == before


def test_role_of_another_portal_stays_untouched(pg_target: PgTarget) -> None:
    spec = pg_target.spec()
    postgresql.activate(pg_target.target, replace(spec, portal_id="another-portal"))
    with pytest.raises(TargetMismatch):
        postgresql.activate(pg_target.target, spec)
    with pytest.raises(TargetMismatch):
        postgresql.locate(pg_target.target, spec)


def test_role_that_got_more_rights_by_hand_is_not_adopted(pg_target: PgTarget) -> None:
    spec = pg_target.spec()
    postgresql.activate(pg_target.target, spec)
    pg_target.ask(f"GRANT billing_read TO {spec.login}")
    with pytest.raises(TargetMismatch, match="memberships other than"):
        postgresql.activate(pg_target.target, spec)


def test_another_server_than_the_approved_one_is_refused(pg_target: PgTarget) -> None:
    spec = pg_target.spec(server_id="42")
    with pytest.raises(TargetMismatch, match="different server"):
        postgresql.activate(pg_target.target, spec)
    assert pg_target.grant_roles() == []


@pytest.mark.parametrize("minutes", [-5, 5])
def test_clock_that_differs_by_minutes_is_refused(
    pg_target: PgTarget, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    import time_machine

    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=minutes), tick=True):
        spec = pg_target.spec()
        with pytest.raises(ClockSkew, match="NTP"):
            postgresql.activate(pg_target.target, spec)
    assert pg_target.grant_roles() == []


@pytest.mark.parametrize("seconds", [-20, 20])
def test_small_skew_never_lengthens_a_grant(pg_target: PgTarget, seconds: int) -> None:
    """Portal behind: the target's clock reaches the deadline first. Portal ahead: it is shortened."""
    import time_machine

    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True):
        spec = pg_target.spec()
        activation = postgresql.activate(pg_target.target, spec)
    assert activation.valid_until <= spec.deadline
    assert activation.valid_until - activation.server_time <= timedelta(minutes=10)


def test_deadline_in_the_past_is_refused(pg_target: PgTarget) -> None:
    spec = pg_target.spec(deadline=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(TargetRefused, match="already expired"):
        postgresql.activate(pg_target.target, spec)
    assert pg_target.grant_roles() == []


def test_two_at_once_create_one_role(pg_target: PgTarget) -> None:
    spec, start = pg_target.spec(), threading.Barrier(4)

    def activate(_: int) -> object:
        start.wait()
        try:
            return postgresql.activate(pg_target.target, spec).identity
        except ConnectorError as error:
            return type(error).__name__

    with ThreadPoolExecutor(4) as pool:
        outcomes = set(pool.map(activate, range(4)))
    assert len(outcomes) == 1
    assert pg_target.grant_roles() == [spec.login]


def test_overlapping_grants_of_one_permission_do_not_touch_each_other(
    make_grant: MakeGrant,
) -> None:
    first, second = make_grant(), make_grant()
    first.end()
    with second.log_in() as session:
        assert session.execute("SELECT count(*) FROM sales.orders").fetchone() == (240,)
    assert first.proof_holds()
    assert not second.proof_holds()


def test_deadline_holds_in_any_server_time_zone(pg_target: PgTarget) -> None:
    pg_target.ask("ALTER ROLE portal_broker SET timezone = 'Pacific/Kiritimati'")
    try:
        spec = pg_target.spec()
        postgresql.activate(pg_target.target, spec)
        stored = role_row(pg_target, spec.login)["rolvaliduntil"]
    finally:
        pg_target.ask("ALTER ROLE portal_broker RESET timezone")
    assert abs(stored - spec.deadline) < timedelta(seconds=2)


def test_prepared_transactions_that_the_broker_cannot_roll_back_refuse(
    pg_version: int, start_postgres: StartServer
) -> None:
    """On 15 in every database; later where the broker cannot connect."""
    server = start_postgres(pg_version, max_prepared_transactions="5")
    pg = PgTarget(server, provision_target(server, "broker-password"), pg_version)
    if pg_version >= 16:
        postgresql.activate(pg.target, pg.spec())
        pg.ask("DROP OWNED BY orders_read", database="orders_staging")
        pg.ask("GRANT CONNECT ON DATABASE orders, orders_staging TO orders_read")
        pg.ask("REVOKE CONNECT ON DATABASE orders_staging FROM portal_broker")
    with pytest.raises(TargetRefused, match="Set max_prepared_transactions to 0"):
        postgresql.activate(pg.target, pg.spec())
    server.stop()
