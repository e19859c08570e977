"""The target is compared with the portal's rows: what differs is noticed, what is rightful stays."""

from datetime import timedelta

import psycopg
import pytest
import time_machine
from django.utils import timezone

from accessflows.connectors.registry import connector_for
from audit.models import Event
from requests_app.drift.scan import due_for_scan, scan_target
from requests_app.grants.credentials import reset_credential, reveal_credential
from requests_app.models import AccessRequest, Drift, Grant, GrantState, Status, TargetScan
from tests.factories import sign
from tests.fixtures.postgres import every_version
from tests.requests_app.conftest import WORKER, RealFlow, settle

pytestmark = [pytest.mark.target, pytest.mark.django_db, every_version]

Kind = Drift.Kind


@pytest.fixture
def grant(real_flow: RealFlow) -> Grant:
    return real_flow.active_grant()


def look(flow: RealFlow, times: int = 1) -> set[str]:
    """Look the target over a moment later; return the kinds of drift that are open."""
    with time_machine.travel(timezone.now() + timedelta(seconds=3), tick=True):
        for _ in range(times):
            for pk in due_for_scan(timezone.now(), all_targets=True):
                scan_target(pk, WORKER)
    return set(Drift.objects.open().values_list("kind", flat=True))


def forget(grant: Grant) -> None:
    """The portal's database is an older copy of itself, in which there is no such request."""
    AccessRequest.objects.filter(pk=grant.request_id).delete()


def marked_by_hand(flow: RealFlow, portal_id: str = "tests", **changes) -> str:
    spec = flow.pg.spec(portal_id=portal_id, **changes)
    connector_for("postgresql").activate(flow.pg.target, spec)
    return spec.login


def test_activation_leaves_no_drift(real_flow, grant):
    assert look(real_flow) == set()
    reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    assert look(real_flow) == set()
    assert not Event.objects.filter(event="grant:drift").exists()


def test_a_restored_portal_keeps_unknown_logins_until_their_end(real_flow, grant):
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    with real_flow.pg.log_in(credential) as session:
        forget(grant)
        assert look(real_flow) == {Kind.UNKNOWN}
        settle()
        assert session.execute("SELECT 1").fetchone() == (1,)
    real_flow.pg.log_in(credential).close()


def test_a_restored_portal_removes_unknown_logins_past_their_end(real_flow, grant):
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    session = real_flow.pg.log_in(credential)
    forget(grant)
    real_flow.pg.ask(f"ALTER ROLE {grant.login} VALID UNTIL '2020-01-01'")
    look(real_flow)
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    assert not real_flow.pg.role_exists(grant.login)
    metadata = Event.objects.get(event="grant:remove_unknown").metadata
    assert (metadata["login"], metadata["proof"]["holds"]) == (grant.login, True)
    assert look(real_flow) == set()


def test_a_restored_portal_keeps_a_revealed_login_it_believes_inactive(real_flow, grant):
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    past = timezone.now() - timedelta(minutes=1)
    AccessRequest.objects.update(
        status=Status.GRANTING, pending_until=past, starts_at=None, ends_at=None
    )
    Grant.objects.update(
        state=GrantState.ACTIVATING, activated_at=None, revealed_at=None, login="", login_mark=""
    )
    sign(*AccessRequest.objects.all(), *Grant.objects.all())
    with real_flow.pg.log_in(credential) as session:
        settle()
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert AccessRequest.objects.get().status == Status.ACTIVE


def test_an_unrevealed_login_past_its_deadline_is_failed(real_flow, grant):
    past = timezone.now() - timedelta(minutes=1)
    AccessRequest.objects.update(
        status=Status.GRANTING, pending_until=past, starts_at=None, ends_at=None
    )
    Grant.objects.update(state=GrantState.ACTIVATING, login="", login_mark="")
    sign(*AccessRequest.objects.all(), *Grant.objects.all())
    settle()
    assert AccessRequest.objects.get().status == Status.FAILED
    assert not real_flow.pg.role_exists(grant.login)


def test_other_portals_and_foreign_roles_are_never_touched(real_flow):
    theirs = marked_by_hand(real_flow, portal_id="another-portal")
    real_flow.pg.ask("CREATE ROLE jit_of_somebody_else LOGIN VALID UNTIL '2020-01-01'")
    real_flow.pg.ask(f"ALTER ROLE {theirs} VALID UNTIL '2020-01-01'")
    try:
        assert look(real_flow) == set()
        assert real_flow.pg.role_exists(theirs)
        assert real_flow.pg.role_exists("jit_of_somebody_else")
    finally:
        real_flow.pg.ask("DROP ROLE jit_of_somebody_else")


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("ALTER ROLE {role} VALID UNTIL 'infinity'", Kind.DEADLINE),
        ("ALTER ROLE {role} VALID UNTIL '2099-01-01'", Kind.DEADLINE),
        ("GRANT billing_read TO {role}", Kind.RIGHTS),
        ("REVOKE orders_read FROM {role}", Kind.RIGHTS),
        ("ALTER ROLE {role} CREATEDB", Kind.ATTRIBUTES),
        ("ALTER ROLE {role} LOGIN PASSWORD 'by hand'", Kind.LOGIN_ENABLED),
        ("ALTER ROLE {role} RENAME TO jit_renamed", Kind.RENAMED),
        ("COMMENT ON ROLE {role} IS NULL", Kind.UNMARKED),
    ],
)
def test_a_manual_change_is_recorded_once(real_flow, grant, statement, kind):
    if statement.startswith("REVOKE") and real_flow.pg.version >= 16:
        statement += " GRANTED BY portal_broker"
    real_flow.pg.ask(statement.format(role=grant.login))
    assert look(real_flow, times=2) == {kind}
    event = Event.objects.get(event="grant:drift")
    assert (event.target_id, event.request_id) == (str(grant.pk), grant.request_id)
    real_flow.pg.ask("DROP ROLE IF EXISTS jit_renamed")


def test_corrected_drift_is_resolved(real_flow, grant):
    real_flow.pg.ask(f"ALTER ROLE {grant.login} CREATEDB")
    look(real_flow)
    real_flow.pg.ask(f"ALTER ROLE {grant.login} NOCREATEDB")
    assert look(real_flow) == set()
    assert Event.objects.filter(event="grant:resolve_drift").count() == 1


def test_a_disabled_login_is_drift(real_flow, grant):
    reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    real_flow.pg.ask(f"ALTER ROLE {grant.login} NOLOGIN")
    assert look(real_flow) == {Kind.LOGIN_DISABLED}


def test_a_dropped_login_terminates_its_session_and_revokes_its_request(real_flow, grant):
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    session = real_flow.pg.log_in(credential)
    real_flow.pg.ask(f"DROP ROLE {grant.login}")
    assert look(real_flow) == {Kind.DROPPED}
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    with time_machine.travel(timezone.now() + timedelta(seconds=9), tick=True):
        settle()
    grant.refresh_from_db()
    assert (grant.state, grant.request.status) == (GrantState.REMOVED, Status.REVOKED)


def test_a_login_that_returns_after_removal_is_removed(real_flow, grant):
    Grant.objects.update(state=GrantState.REMOVED, removed_at=timezone.now())
    AccessRequest.objects.update(status=Status.EXPIRED)
    look(real_flow)
    assert not real_flow.pg.role_exists(grant.login)
    assert Drift.objects.get().kind == Kind.RETURNED


def test_changes_after_the_listing_are_ignored(real_flow, grant):
    Grant.objects.update(state=GrantState.REMOVED, removed_at=timezone.now() + timedelta(minutes=1))
    assert look(real_flow) == set()
    assert real_flow.pg.role_exists(grant.login)


def test_the_scan_records_an_unreachable_target(real_flow, grant):
    type(real_flow.integration).objects.update(port=1)
    assert look(real_flow) == set()
    assert "can't be reached" in real_flow.integration.scan.last_error


def test_one_worker_scans_at_a_time(real_flow, grant):
    look(real_flow)
    real_flow.pg.ask(f"ALTER ROLE {grant.login} CREATEDB")
    TargetScan.objects.update(lease_until=timezone.now() + timedelta(minutes=1))
    assert look(real_flow) == set()
    scan_target(real_flow.integration.pk, WORKER)
    assert not Drift.objects.exists()


def test_a_target_with_many_logins_is_scanned_in_batches(real_flow, monkeypatch):
    monkeypatch.setattr("requests_app.grants.target_access.BATCH_SIZE", 2)
    monkeypatch.setattr("requests_app.drift.scan.BATCH_SIZE", 2)
    monkeypatch.setattr("accessflows.connectors.postgresql.roles.BATCH_SIZE", 2)
    *grants, forgotten = [real_flow.active_grant() for _ in range(6)]
    forget(forgotten)
    assert look(real_flow) == {Kind.UNKNOWN}
    for grant in grants:
        real_flow.pg.ask(f"COMMENT ON ROLE {grant.login} IS NULL")
    assert look(real_flow) == {Kind.UNKNOWN, Kind.UNMARKED}
    assert Drift.objects.open().filter(kind=Kind.UNMARKED).count() == len(grants)
    real_flow.pg.ask(f"DROP ROLE {grants[2].login}")
    look(real_flow)
    assert Drift.objects.open().get(kind=Kind.DROPPED).login == grants[2].login


def test_a_reveal_that_was_cut_off_is_no_drift(real_flow, grant, monkeypatch):
    """The worker of the page was killed between the record and the call to the target."""
    connector = type(connector_for("postgresql"))

    def killed(*args, **kwargs):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(connector, "issue_credential", staticmethod(killed))
        with pytest.raises(SystemExit):
            reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    grant.refresh_from_db()
    assert grant.revealed_at is not None
    assert look(real_flow, times=2) == set()
    assert not Event.objects.filter(event="grant:drift").exists()
    reset_credential(actor=real_flow.requester, grant=grant, window=None)
    real_flow.pg.ask(f"ALTER ROLE {grant.login} NOLOGIN")
    assert look(real_flow) == {Kind.LOGIN_DISABLED}
