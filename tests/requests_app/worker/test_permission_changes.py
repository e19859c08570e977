"""What a grantee gave to others as the permission's role is recorded, undone, and part of the proof."""

from collections.abc import Iterator

import pytest
from django.utils import timezone

from accessflows.connectors.registry import connector_for
from accessflows.models import AccessFlow
from audit.models import Event
from requests_app.grants.activation import record_activation
from requests_app.grants.leases import claim
from requests_app.grants.proof_text import proof_lines
from requests_app.grants.revocation import revoke_access
from requests_app.models import Grant, GrantState, Status
from requests_app.worker import steps
from requests_app.worker.reconciler import Stage, WorkQueue, work
from tests.factories import take_fingerprint
from tests.requests_app.conftest import WORKER, RealFlow, settle

pytestmark = [pytest.mark.django_db, pytest.mark.target]

DEFAULTS = "ALTER DEFAULT PRIVILEGES FOR ROLE orders_read GRANT SELECT ON TABLES TO PUBLIC"
TAKEN_BACK = DEFAULTS.replace("GRANT", "REVOKE").replace(" TO ", " FROM ")
GRANTABLE = "GRANT SELECT ON sales.orders TO orders_read WITH GRANT OPTION"
PLAIN = "REVOKE GRANT OPTION FOR SELECT ON sales.orders FROM orders_read CASCADE"
GIVE = "SET ROLE orders_read; GRANT SELECT ON sales.orders TO PUBLIC; RESET ROLE"
GIVEN = "SELECT count(*) FROM information_schema.table_privileges WHERE grantor = 'orders_read'"


@pytest.fixture
def passing_on(real_flow: RealFlow) -> Iterator[RealFlow]:
    """A flow whose grantees can pass on what they may read."""
    AccessFlow.objects.filter(pk=real_flow.flow.pk).update(allow_delegation=True)
    real_flow.flow.refresh_from_db()
    take_fingerprint(real_flow.flow)
    real_flow.pg.ask(GRANTABLE, database="orders")
    yield real_flow
    real_flow.pg.ask(PLAIN, database="orders")


def end(grant: Grant, requester: object) -> Grant:
    revoke_access(actor=requester, request=grant.request)
    settle()
    grant.refresh_from_db()
    return grant


def test_a_change_is_recorded_undone_and_proven(real_flow):
    grant = real_flow.active_grant()
    grant.refresh_from_db()
    assert grant.permission_state == [":role:orders_read"]
    real_flow.pg.ask(DEFAULTS, database="orders")
    try:
        end(grant, real_flow.requester)
        assert grant.state == GrantState.REMOVED
        assert grant.permission_changes == [
            {
                "database": "orders",
                "kind": "default privileges",
                "text": "SELECT on future tables to PUBLIC",
            }
        ]
        event = Event.objects.get(event="grant:find_permission_changes")
        assert event.metadata["given_to_others"] == grant.permission_changes
        assert dict(proof_lines(grant.proof))["Permission"] == (
            "As before activation. Undone: SELECT on future tables to PUBLIC"
        )
        assert real_flow.pg.ask(
            "SELECT count(*) FROM pg_default_acl WHERE defaclrole = 'orders_read'::regrole",
            database="orders",
        ) == [(0,)]
    finally:
        real_flow.pg.ask(TAKEN_BACK, database="orders")


def test_without_a_change_the_proof_says_so(real_flow):
    grant = end(real_flow.active_grant(), real_flow.requester)
    assert dict(proof_lines(grant.proof))["Permission"] == "As before activation"


def test_only_a_flow_that_allows_it_grants_what_can_be_passed_on(real_flow):
    real_flow.pg.ask(GRANTABLE, database="orders")
    try:
        refused = real_flow.request()
        settle()
        refused.refresh_from_db()
        assert refused.status == Status.FAILED
        assert "WITH GRANT OPTION" in refused.message
        AccessFlow.objects.filter(pk=real_flow.flow.pk).update(allow_delegation=True)
        real_flow.flow.refresh_from_db()
        take_fingerprint(real_flow.flow)
        assert real_flow.active_grant().deadline > timezone.now()
    finally:
        real_flow.pg.ask(PLAIN, database="orders")


def test_what_two_grantees_give_in_turn_outlives_neither(passing_on):
    first = passing_on.active_grant()
    passing_on.pg.ask(GIVE, database="orders")
    second = passing_on.active_grant()
    end(first, passing_on.requester)
    assert passing_on.pg.ask(GIVEN, database="orders") == [(0,)]
    passing_on.pg.ask(GIVE, database="orders")
    end(second, passing_on.requester)
    assert second.state == GrantState.REMOVED
    assert passing_on.pg.ask(GIVEN, database="orders") == [(0,)]


def test_what_grantees_of_two_permissions_give_through_one_role_outlives_neither(passing_on):
    pg, target = passing_on.pg, passing_on.flow.targets.get()
    pg.ask("CREATE ROLE orders_team; GRANT orders_read TO orders_team")
    pg.ask(f"GRANT orders_team TO {pg.target.user} WITH ADMIN OPTION")
    try:
        first = passing_on.active_grant()
        pg.ask(GIVE, database="orders")
        type(target.permission).objects.update(name="orders_team")
        take_fingerprint(passing_on.flow)
        second = passing_on.active_grant()
        end(first, passing_on.requester)
        pg.ask(GIVE, database="orders")
        end(second, passing_on.requester)
        assert (second.state, second.permission) == (GrantState.REMOVED, "orders_team")
        assert pg.ask(GIVEN, database="orders") == [(0,)]
    finally:
        pg.ask("DROP ROLE orders_team")


def test_what_was_given_before_both_stays(passing_on):
    passing_on.pg.ask(GIVE, database="orders")
    first, second = passing_on.active_grant(), passing_on.active_grant()
    end(first, passing_on.requester)
    end(second, passing_on.requester)
    assert second.permission_changes == []
    assert passing_on.pg.ask(GIVEN, database="orders") == [(1,)]


def take(passing_on: RealFlow, grant: Grant) -> tuple[str, list[Grant]]:
    """Revoke and contain a grant, and lease it for clean-up."""
    revoke_access(actor=passing_on.requester, request=grant.request)
    work(WorkQueue(Stage.CONTAIN, grant.integration_id), WORKER)
    return claim(
        "suspended",
        integration_id=grant.integration_id,
        state=GrantState.CONTAINED,
        limit=1,
        duration=Stage.CLEAN.lease,
        now=timezone.now(),
    )


def test_a_worker_that_lost_its_lease_undoes_nothing(passing_on):
    grant = passing_on.active_grant()
    lease, stale = take(passing_on, grant)
    Grant.objects.update(lease_by="", lease_until=None)
    settle()
    grant.refresh_from_db()
    assert (grant.state, stale) == (GrantState.REMOVED, [grant])
    passing_on.pg.ask(GIVE, database="orders")
    steps.clean(stale, lease)
    assert passing_on.pg.ask(GIVEN, database="orders") == [(1,)]


def test_a_lease_lost_while_the_permission_is_read_neither_records_nor_undoes(
    passing_on, monkeypatch
):
    grant = passing_on.active_grant()
    passing_on.pg.ask(GIVE, database="orders")
    lease, held = take(passing_on, grant)
    connector = type(connector_for("postgresql"))
    read = connector.read_permission

    def read_slowly(*args, **kwargs):
        state = read(*args, **kwargs)
        Grant.objects.update(lease_by="another")
        return state

    monkeypatch.setattr(connector, "read_permission", staticmethod(read_slowly))
    steps.clean(held, lease)
    grant.refresh_from_db()
    assert (grant.state, grant.lease_by) == (GrantState.CONTAINED, "another")
    assert grant.permission_changes == held[0].permission_changes == []
    assert not Event.objects.filter(event="grant:find_permission_changes").exists()
    assert passing_on.pg.ask(GIVEN, database="orders") == [(1,)]


def test_a_login_made_after_the_proof_undoes_nothing_given_since(passing_on):
    grant = end(passing_on.active_grant(), passing_on.requester)
    proof = grant.proof
    passing_on.pg.ask(GIVE, database="orders")
    spec = grant.spec(grant.integration, allow_delegation=True)
    activation = connector_for("postgresql").activate(passing_on.pg.target, spec)
    assert not record_activation(grant=grant, lease="suspended", activation=activation)
    settle()
    grant.refresh_from_db()
    assert (grant.state, grant.permission_changes) == (GrantState.REMOVED, [])
    assert grant.proof["checked_at"] > proof["checked_at"]
    assert passing_on.pg.grant_roles() == []
    assert passing_on.pg.ask(GIVEN, database="orders") == [(1,)]
