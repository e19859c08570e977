"""Containment is shared: it may be done twice, waits for no dead worker, and holds cleaning up."""

import time
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone

from accessflows.connectors.protocol import Containment
from audit.models import Event
from requests_app.grants.leases import claim
from requests_app.grants.proof import record_containment
from requests_app.models import Grant, GrantState
from requests_app.worker.reconciler import Stage, WorkQueue, next_due_at, work, work_queues
from requests_app.worker.steps import contain
from tests.factories import GrantFactory
from tests.requests_app.conftest import WORKER

pytestmark = pytest.mark.django_db
CUT = Containment(sessions_terminated=1, orphan_sessions_terminated=0)


@pytest.fixture
def ending():
    return GrantFactory(state=GrantState.REVOKING, login="jit_x", login_mark="1")


def take(grant: Grant, state: GrantState = GrantState.REVOKING) -> str:
    stage = Stage(state.value)
    lease, _ = claim(
        "dead",
        integration_id=grant.integration_id,
        state=state,
        limit=1,
        duration=stage.lease,
        now=timezone.now(),
    )
    return lease


def test_containment_by_two_workers_is_recorded_once(ending):
    assert record_containment(contained={ending: CUT}) == [ending]
    assert record_containment(contained={ending: CUT}) == []
    assert Event.objects.filter(event="grant:contain").count() == 1


def test_a_slow_workers_answer_counts(ending):
    take(ending)
    Grant.objects.update(lease_by="another worker")
    record_containment(contained={ending: CUT})
    ending.refresh_from_db()
    assert (ending.state, ending.lease_by) == (GrantState.CONTAINED, "")


def test_a_late_answer_does_not_contain_an_active_grant():
    grant = GrantFactory()
    assert record_containment(contained={grant: CUT}) == []
    grant.refresh_from_db()
    assert grant.state == GrantState.ACTIVE


def test_a_dead_worker_delays_containment_by_half_an_interval(ending):
    take(ending)
    assert work_queues(timezone.now()) == []
    now = timezone.now()
    assert next_due_at(now) <= now + timedelta(seconds=settings.WORKER_INTERVAL_S)
    time.sleep(settings.WORKER_INTERVAL_S / 2 + 1.1)  # SQLite's clock counts whole seconds
    assert [queue.stage for queue in work_queues(timezone.now())] == [Stage.CONTAIN]


def test_cleanup_waits_for_new_revocations(ending):
    contained = GrantFactory(state=GrantState.CONTAINED, integration=ending.integration)
    place = WorkQueue(Stage.CLEAN, contained.integration_id)
    assert place not in work_queues(timezone.now())
    assert work(place, WORKER) == 0
    Grant.objects.filter(pk=ending.pk).update(attempts=1)
    assert place in work_queues(timezone.now())


def test_cleaning_elsewhere_does_not_wait(ending):
    contained = GrantFactory(state=GrantState.CONTAINED)
    place = WorkQueue(Stage.CLEAN, contained.integration_id)
    assert place in work_queues(timezone.now())
    assert work(place, WORKER) == 1


def test_attempt_counts_although_another_worker_took_over_meanwhile(ending):
    lease = take(ending)
    Grant.objects.update(lease_by="another worker", lease_until=timezone.now())
    contain([Grant.objects.select_related("request", "integration").get()], lease)
    ending.refresh_from_db()
    assert ending.attempts == 1
    assert "can't be reached" in ending.last_error


def test_containment_is_retried_soon_however_often_it_failed(ending):
    Grant.objects.update(attempts=30)
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        lease = take(ending)
        contain([Grant.objects.select_related("request", "integration").get()], lease)
    ending.refresh_from_db()
    assert (ending.state, ending.attempts) == (GrantState.REVOKING, 31)
    assert ending.next_attempt_at <= now + timedelta(seconds=1)
