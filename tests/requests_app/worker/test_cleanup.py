"""Many are cleaned and proven together: who fails stops no other, and a lost lease stops only itself."""

import pytest
from django.utils import timezone

from accessflows.connectors.postgresql import cleaning
from accessflows.connectors.registry import connector_for
from audit.models import Event
from requests_app.grants.leases import claim
from requests_app.grants.proof import record_never_created, record_removals
from requests_app.grants.revocation import revoke_access
from requests_app.models import AccessRequest, Grant, GrantState, Status
from requests_app.worker.reconciler import Stage, WorkQueue, work
from requests_app.worker.steps import clean
from tests.factories import AccessRequestFactory, GrantFactory
from tests.requests_app.conftest import WORKER

pytestmark = pytest.mark.django_db

PROOF = {"holds": True}


def take(grants: list[Grant]) -> tuple[str, list[Grant]]:
    return claim(
        WORKER,
        integration_id=grants[0].integration_id,
        state=GrantState.CONTAINED,
        limit=Stage.CLEAN.batch,
        duration=Stage.CLEAN.lease,
        now=timezone.now(),
    )


@pytest.fixture
def contained(real_flow) -> list[Grant]:
    """Three that are contained on a real target."""
    grants = [real_flow.active_grant() for _ in range(3)]
    for grant in grants:
        revoke_access(actor=real_flow.requester, request=grant.request)
    work(WorkQueue(Stage.CONTAIN, real_flow.integration.pk), WORKER)
    return grants


def states(grants: list[Grant]) -> list[str]:
    for grant in grants:
        grant.refresh_from_db()
    return [grant.state for grant in grants]


@pytest.mark.target
def test_a_failed_cleanup_does_not_stop_others(real_flow, contained):
    real_flow.pg.ask(f"COMMENT ON ROLE {contained[1].login} IS 'somebody else'")
    lease, grants = take(contained)
    clean(grants, lease)
    assert states(contained) == [GrantState.REMOVED, GrantState.CONTAINED, GrantState.REMOVED]
    assert "no longer has the portal's marker" in contained[1].last_error
    assert all(contained[number].proof["holds"] for number in (0, 2))
    assert real_flow.pg.grant_roles() == [contained[1].login]


@pytest.mark.target
def test_cleanup_with_and_without_owned_objects(real_flow, contained):
    left = (
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {contained[0].login} GRANT SELECT ON TABLES TO PUBLIC"
    )
    real_flow.pg.ask(left, database="orders")
    lease, grants = take(contained)
    clean(grants, lease)
    assert states(contained) == [GrantState.REMOVED] * 3
    assert [len(grant.owned_objects) for grant in contained] == [1, 0, 0]


@pytest.mark.target
def test_a_login_without_objects_is_dropped_directly(real_flow, contained, monkeypatch):
    joined: list[object] = []
    monkeypatch.setattr(cleaning, "join_roles", lambda *args: joined.append(args))
    lease, grants = take(contained)
    clean(grants, lease)
    assert (states(contained), joined) == ([GrantState.REMOVED] * 3, [])


@pytest.mark.target
def test_a_silent_target_delays_one_and_releases_the_others(real_flow, contained):
    type(real_flow.integration).objects.update(port=1)
    lease, grants = take(contained)
    clean(grants, lease)
    assert states(contained) == [GrantState.CONTAINED] * 3
    assert sorted(grant.attempts for grant in contained) == [0, 0, 1]
    assert {grant.lease_by for grant in contained} == {""}


@pytest.mark.target
def test_a_grant_taken_over_is_left_to_its_worker(real_flow, contained):
    lease, grants = take(contained)
    Grant.objects.filter(pk=contained[0].pk).update(lease_by="another")
    clean(grants, lease)
    assert states(contained) == [GrantState.CONTAINED, GrantState.REMOVED, GrantState.REMOVED]
    assert contained[0].login in real_flow.pg.grant_roles()


@pytest.mark.target
def test_each_grant_has_its_own_proof(real_flow, contained):
    gone, there, _ = contained
    connector, target = connector_for("postgresql"), real_flow.pg.target
    assert None not in (gone.identity, there.identity)
    connector.clean(target, gone.identity)
    proofs = connector.prove_many(target, [gone.identity, there.identity])
    assert [proofs[identity].holds for identity in (gone.identity, there.identity)] == [True, False]
    assert proofs[gone.identity].details == connector.prove(target, gone.identity).details


def test_a_request_is_finished_with_its_last_grant_and_each_proof_recorded():
    request = AccessRequestFactory(status=Status.REVOKING, final_status=Status.EXPIRED)
    first = GrantFactory(request=request, state=GrantState.CONTAINED, lease_by="mine")
    last = GrantFactory(
        request=request, state=GrantState.CONTAINED, lease_by="mine", permission="other"
    )
    assert record_removals(proven={first: PROOF}, lease="mine") == [first]
    assert AccessRequest.objects.get().status == Status.REVOKING
    assert record_removals(proven={first: PROOF, last: PROOF}, lease="mine") == [last]
    assert AccessRequest.objects.get().status == Status.EXPIRED
    assert Event.objects.filter(event="grant:prove").count() == 2
    assert Event.objects.filter(event="request:expire").count() == 1


def test_a_proof_without_its_lease_is_not_stored():
    grant = GrantFactory(state=GrantState.CONTAINED, lease_by="another")
    assert record_removals(proven={grant: PROOF}, lease="mine") == []
    assert states([grant]) == [GrantState.CONTAINED]
    assert not Event.objects.filter(event="grant:prove").exists()


def test_a_proof_does_not_cover_a_login_that_a_suspended_worker_made_meanwhile():
    proven = GrantFactory(state=GrantState.CONTAINED, lease_by="mine", login_mark="1")
    never_created = GrantFactory(state=GrantState.REVOKING, lease_by="mine")
    Grant.objects.update(login_mark="2")
    assert record_removals(proven={proven: PROOF}, lease="mine") == []
    record_never_created(grant=never_created, lease="mine")
    assert states([proven, never_created]) == [GrantState.CONTAINED, GrantState.REVOKING]
    assert (proven.lease_by, never_created.lease_by, never_created.contained_at) == ("", "", None)
