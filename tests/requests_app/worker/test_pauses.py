"""An idle worker pauses for long, and still acts on time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from apono_portal.core.db.changes import ChangeDetector
from requests_app.models import AccessRequest, GrantState, Status
from requests_app.worker import loop
from requests_app.worker.deadline_watchdog import REFRESH_INTERVAL, DeadlineWatchdog
from requests_app.worker.loop import MAX_PAUSE_SECONDS, Worker
from tests.factories import AccessRequestFactory, GrantFactory

pytestmark = pytest.mark.django_db(transaction=True)
INTERVAL_S = 10


@contextmanager
def pausing_worker() -> Iterator[None]:
    """A worker that has done its first rounds and would do the next only after `INTERVAL_S`."""
    worker, paused = Worker("w", interval_s=INTERVAL_S), threading.Event()
    pause = worker._pause

    def pause_and_tell(pause_s: float) -> None:
        if pause_s > 1:
            paused.set()
        pause(pause_s)

    worker._pause = pause_and_tell  # type: ignore[method-assign]
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        assert paused.wait(10)
        yield
    finally:
        worker.stop()
        thread.join(10)


def seconds_until(condition) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < INTERVAL_S
        time.sleep(0.02)
    return time.monotonic() - began


def test_request_is_noticed_within_a_second():
    with pausing_worker():
        request = AccessRequestFactory()
        assert seconds_until(lambda: request.grants.exists()) < 1


def test_access_expires_on_time():
    grant = GrantFactory()
    ends_at = timezone.now() + timedelta(seconds=2)
    AccessRequest.objects.update(ends_at=ends_at)
    with pausing_worker():
        active = AccessRequest.objects.filter(pk=grant.request_id, status=Status.ACTIVE)
        seconds_until(lambda: not active.exists())
        assert timezone.now() - ends_at < timedelta(seconds=0.5)


def test_change_that_was_not_noticed_waits_for_the_longest_pause(monkeypatch):
    monkeypatch.setattr(ChangeDetector, "has_changes", lambda self: False)
    monkeypatch.setattr(loop, "MAX_PAUSE_SECONDS", 1.5)
    with pausing_worker():
        request = AccessRequestFactory()
        assert seconds_until(lambda: request.grants.exists()) < 3


def test_running_worker_caches_deadlines_and_watches_them(monkeypatch):
    watched = threading.Event()
    grant = GrantFactory(login_mark="1")

    def check_deadlines(watchdog: DeadlineWatchdog) -> None:
        if [deadline.grant_id for deadline in watchdog._cache.deadlines] == [grant.pk]:
            watched.set()

    monkeypatch.setattr(DeadlineWatchdog, "_check_deadlines", check_deadlines)
    with pausing_worker():
        assert watched.wait(INTERVAL_S)


@pytest.fixture
def worker() -> Iterator[Worker]:
    """One that does not run, and whose last change is long ago."""
    worker = Worker("w", interval_s=1)
    worker._changes.has_changes = lambda: False  # type: ignore[method-assign]
    worker._changed_at = timezone.now() - timedelta(seconds=60)
    worker._watchdog.refresh(timezone.now())
    yield worker
    worker._shut_down()


def test_pause_ends_when_the_clock_jumps_past_the_next_deadline(worker):
    grant, now, began = GrantFactory(), timezone.now(), time.monotonic()
    AccessRequest.objects.filter(pk=grant.request_id).update(ends_at=now + timedelta(seconds=8))
    pause_s = worker._pause_s(now, is_idle=True)
    assert pause_s > 7
    with time_machine.travel(now + timedelta(seconds=9)):
        worker._pause(pause_s)
    assert time.monotonic() - began < 2


def test_idle_worker_pauses_long(worker):
    assert worker._do_round() == MAX_PAUSE_SECONDS


@pytest.mark.parametrize("state", [GrantState.REVOKING, GrantState.CONTAINED])
def test_worker_with_work_in_progress_does_not(state, worker):
    """Another worker may hold it, and die."""
    GrantFactory(state=state, lease_by="another", lease_until=timezone.now() + timedelta(hours=1))
    assert worker._do_round() <= 1


def test_worker_that_put_off_its_periodic_tasks_does_not(worker):
    worker._do_round()
    assert worker._do_round() <= 1


def test_change_is_followed_by_a_round_that_reads_the_deadlines_again(worker):
    worker._changes.has_changes = lambda: True
    assert worker._do_round() <= REFRESH_INTERVAL.total_seconds()


def test_a_later_change_does_not_delay_that_round(worker):
    """A grant was activated since the deadlines were read, and something else changed just now."""
    now = timezone.now()
    worker._watchdog._refreshed_at = now - REFRESH_INTERVAL + timedelta(seconds=2)
    worker._changed_at = now
    assert 1 < worker._pause_s(now, is_idle=True) <= 2
