"""The worker on targets that do not answer, answer wrongly, or answer late."""

import socket
import threading
import time
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accessflows.models import Integration
from audit.events import EventName
from audit.models import Event
from requests_app.grants.activation import begin_activation, record_activation
from requests_app.grants.revocation import cancel_request, revoke_access
from requests_app.models import AccessRequest, Grant, GrantState, Status
from requests_app.policies import GRANT_NOT_AUTHENTIC
from requests_app.worker.reconciler import Stage, WorkQueue, next_due_at, work, work_queues
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GrantFactory,
    IntegrationFactory,
)
from tests.fixtures.worker import sweep
from tests.requests_app.conftest import WORKER, settle

pytestmark = pytest.mark.django_db


def sweep_at(instant):
    with time_machine.travel(instant, tick=False):
        sweep(WORKER, timezone.now())


@pytest.fixture
def unanswered():
    """A request on its way to a server that refuses connections."""
    request = AccessRequestFactory()
    sweep(WORKER, timezone.now())
    return request


def test_an_unreachable_server_is_retried(unanswered):
    grant = unanswered.grants.get()
    assert (grant.state, grant.attempts) == (GrantState.ACTIVATING, 1)
    assert grant.next_attempt_at > timezone.now()
    assert unanswered.status == Status.GRANTING


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.EXPIRED, Status.REVOKING])
@pytest.mark.parametrize("is_late", [False, True])
def test_a_grant_whose_request_was_changed_in_the_database_is_revoked(unanswered, status, is_late):
    """It would be leased again at once, and no other grant of its integration activated."""
    grant = unanswered.grants.get()
    now = timezone.now()
    AccessRequest.objects.update(status=status, starts_at=now, ends_at=grant.deadline)
    at = grant.deadline if is_late else now
    Grant.objects.update(next_attempt_at=now)
    rounds = iter([True] * 3)
    with time_machine.travel(at, tick=True):
        queue = WorkQueue(Stage.ACTIVATE, grant.integration_id)
        assert work(queue, WORKER, should_continue=lambda: next(rounds, False)) == 1
    grant.refresh_from_db()
    assert (grant.state, grant.lease_by) == (GrantState.REVOKING, "")
    ended = Status.EXPIRED if status == Status.EXPIRED else Status.REVOKING
    assert AccessRequest.objects.get().status == ended
    alarm = Event.objects.get(event=EventName.AUDIT_DETECT_TAMPERING)
    assert alarm.metadata["reason"] == GRANT_NOT_AUTHENTIC


def test_a_server_that_stays_down_fails_the_request(unanswered):
    deadline = unanswered.grants.get().deadline
    sweep_at(unanswered.pending_until)
    unanswered.refresh_from_db()
    grant = unanswered.grants.get()
    assert (unanswered.status, grant.state) == (Status.FAILED, GrantState.REVOKING)
    assert "in time" in unanswered.message
    assert grant.deadline == deadline


def test_a_revocation_is_never_given_up(unanswered):
    sweep_at(unanswered.pending_until)
    for days in range(1, 30):
        sweep_at(unanswered.pending_until + timedelta(days=days))
    grant = unanswered.grants.get()
    assert grant.state == GrantState.REVOKING
    assert grant.next_attempt_at - grant.deadline < timedelta(days=30)
    assert grant.attempts >= 29


def test_a_revocation_on_an_unreachable_target_is_overdue(unanswered):
    sweep_at(unanswered.pending_until)
    grant = unanswered.grants.get()
    assert not grant.is_overdue(grant.deadline)
    assert grant.is_overdue(grant.deadline + timedelta(minutes=1))


def test_a_broker_password_that_cannot_be_decrypted_fails_with_a_sentence():
    request = AccessRequestFactory()
    Integration.objects.update(encrypted_password="siv1.AAAA")
    sweep(WORKER, timezone.now())
    request.refresh_from_db()
    assert request.status == Status.FAILED
    assert "ENCRYPTION_KEYS" in request.message


def test_containment_comes_first_and_cleanup_waits():
    states = [GrantState.CONTAINED, GrantState.ACTIVATING, GrantState.REVOKING, GrantState.ACTIVE]
    first, *others = (GrantFactory(state=state) for state in states)
    grants = [first, *others]
    Grant.objects.update(integration=first.integration)
    hurried = work_queues(timezone.now())
    assert [queue.stage for queue in hurried] == [Stage.CONTAIN, Stage.ACTIVATE]
    assert hurried[0] == WorkQueue(Stage.CONTAIN, grants[0].integration_id)
    Grant.objects.filter(pk=grants[2].pk).update(attempts=1)
    queues = work_queues(timezone.now())
    assert [queue.stage for queue in queues] == [Stage.CONTAIN, Stage.ACTIVATE, Stage.CLEAN]


def test_a_stopping_worker_leaves_the_rest_of_a_queue():
    first = AccessRequestFactory()
    of_same = {"flow": first.flow, "requester": first.requester}
    for request in [first, *(AccessRequestFactory(**of_same) for _ in range(2))]:
        begin_activation(request_pk=request.pk)
    [queue] = work_queues(timezone.now())
    answers = iter([True, True, False])
    assert work(queue, WORKER, should_continue=lambda: next(answers)) == 2
    assert sorted(Grant.objects.values_list("attempts", flat=True)) == [0, 1, 1]


def test_the_next_turn_is_at_the_next_expiry():
    later, sooner = (GrantFactory().request for _ in range(2))
    now = timezone.now()
    AccessRequest.objects.filter(pk=sooner.pk).update(ends_at=now + timedelta(seconds=1))
    assert next_due_at(now) < later.ends_at
    assert next_due_at(now + timedelta(seconds=1)) == later.ends_at
    AccessRequest.objects.update(status=Status.REJECTED)
    assert next_due_at(now) is None


@pytest.fixture
def silent_port():
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.target
def test_a_silent_server_delays_no_other_revocation(real_flow, silent_port, transactional_db):
    from requests_app.worker.loop import Worker

    stuck = GrantFactory(state=GrantState.REVOKING, login="jit_x", login_mark="1")
    AccessRequest.objects.filter(pk=stuck.request_id).update(
        status=Status.REVOKING, final_status="revoked"
    )
    Integration.objects.filter(pk=stuck.integration_id).update(port=silent_port)
    grant = real_flow.active_grant()
    worker = Worker("w", interval_s=0.1)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        time.sleep(0.5)
        revoke_access(actor=real_flow.requester, request=grant.request)
        began = time.monotonic()
        while Grant.objects.get(pk=grant.pk).contained_at is None:
            assert time.monotonic() - began < 4
            time.sleep(0.05)
    finally:
        worker.stop()
        thread.join(30)
    assert not thread.is_alive()
    assert Grant.objects.get(pk=stuck.pk).state == GrantState.REVOKING


@pytest.mark.target
def test_a_login_whose_answer_was_lost_is_located(real_flow):
    request = real_flow.request()
    settle()
    grant = request.grants.get()
    Grant.objects.update(login="", login_mark="", system_identifier="", state=GrantState.REVOKING)
    AccessRequest.objects.update(status=Status.REVOKING, final_status=Status.REVOKED)
    settle()
    assert not real_flow.pg.role_exists(grant.login)
    assert request.grants.get().proof["holds"] is True


@pytest.mark.target
def test_a_login_never_created_is_proven_so(real_flow):
    request = real_flow.request()
    begin_activation(request_pk=request.pk)
    cancel_request(actor=real_flow.requester, request=request)
    settle()
    request.refresh_from_db()
    grant = request.grants.get()
    assert (request.status, grant.state) == (Status.REVOKED, GrantState.REMOVED)
    assert "it was never created" in grant.proof["method"]


@pytest.mark.target
def test_a_login_created_too_late_is_removed(real_flow):
    request = real_flow.request()
    begin_activation(request_pk=request.pk)
    grant = request.grants.select_related("integration").get()
    cancel_request(actor=real_flow.requester, request=request)
    settle()
    from accessflows.connectors.registry import connector_for

    activation = connector_for("postgresql").activate(
        grant.integration.target(), grant.spec(grant.integration)
    )
    assert not record_activation(grant=grant, lease="lost", activation=activation)
    settle()
    grant.refresh_from_db()
    assert grant.state == GrantState.REMOVED
    assert not real_flow.pg.role_exists(activation.identity.name)


@pytest.mark.target
def test_owned_objects_are_listed_before_cleanup(real_flow):
    target = real_flow.flow.targets.get()
    type(target.permission).objects.filter(pk=target.permission_id).update(name="orders_write")
    from tests.factories import take_fingerprint

    take_fingerprint(real_flow.flow)
    grant = real_flow.active_grant()
    real_flow.pg.ask("GRANT CREATE ON SCHEMA public TO orders_write", database="orders")
    real_flow.pg.ask(
        f"SET ROLE {grant.login}; CREATE TABLE public.left_here (x int)", database="orders"
    )
    revoke_access(actor=real_flow.requester, request=grant.request)
    settle()
    grant.refresh_from_db()
    assert grant.state == GrantState.REMOVED
    assert any("left_here" in item["name"] for item in grant.owned_objects)
    assert Event.objects.get(event=EventName.GRANT_PROVE).metadata["left_behind"] >= 1


@pytest.mark.target
def test_a_refusal_of_the_target_fails_at_once_and_leaves_nothing(real_flow):
    real_flow.pg.ask("ALTER ROLE orders_read CREATEDB")
    try:
        request = real_flow.request()
        settle()
    finally:
        real_flow.pg.ask("ALTER ROLE orders_read NOCREATEDB")
    request.refresh_from_db()
    assert request.status == Status.FAILED
    assert request.message
    assert request.grants.get().state == GrantState.REMOVED
    assert real_flow.pg.grant_roles() == []


@pytest.mark.target
def test_one_failed_target_fails_the_request_and_removes_the_others(real_flow):
    from tests.factories import FlowTargetFactory, ResourceFactory, take_fingerprint

    down = ResourceFactory(integration=IntegrationFactory(name="zz-down"))
    FlowTargetFactory(flow=real_flow.flow, resource=down)
    take_fingerprint(real_flow.flow)
    request = real_flow.request()
    settle()
    request.refresh_from_db()
    assert request.status == Status.GRANTING
    assert len(real_flow.pg.grant_roles()) == 1
    sweep_at(request.pending_until)
    with time_machine.travel(request.pending_until + timedelta(seconds=2)):
        settle()
    request.refresh_from_db()
    assert request.status == Status.FAILED
    assert real_flow.pg.grant_roles() == []
    states = dict(request.grants.values_list("integration_name", "state"))
    assert states == {
        "zz-down": GrantState.REVOKING,
        real_flow.integration.name: GrantState.REMOVED,
    }


def test_flows_share_a_target_and_each_grant_is_revoked_alone():
    flow = AccessFlowFactory(targets=1)
    first, second = (AccessRequestFactory(flow=flow, status=Status.ACTIVE) for _ in range(2))
    for request in (first, second):
        GrantFactory(request=request)
    revoke_access(actor=first.requester, request=first)
    assert second.grants.get().state == GrantState.ACTIVE
