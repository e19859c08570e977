"""While the portal's database is lost, access still ends at its deadline."""

import threading
import time
from datetime import timedelta

import psycopg
import pytest
import time_machine
from django.db import DatabaseError, connection
from django.utils import timezone

from requests_app.grants.credentials import reveal_credential
from requests_app.grants.extension import extend_access
from requests_app.models import AccessRequest, Grant
from requests_app.worker.deadline_watchdog import DeadlineWatchdog

pytestmark = [pytest.mark.target, pytest.mark.django_db]


def lost(*_: object) -> None:
    raise DatabaseError("the server closed the connection")


@pytest.fixture
def grant(real_flow) -> Grant:
    return real_flow.active_grant(duration=timedelta(minutes=5))


def contain_overdue(watchdog: DeadlineWatchdog) -> None:
    with connection.execute_wrapper(lost):
        for done in watchdog.contain_overdue(timezone.now()):
            done.result()


def test_a_deadline_is_enforced_without_the_database(real_flow, grant):
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    watchdog = DeadlineWatchdog(interval_s=1)
    watchdog.refresh(timezone.now())
    with real_flow.pg.log_in(credential) as session:
        with time_machine.travel(grant.deadline + timedelta(seconds=1), tick=True):
            contain_overdue(watchdog)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        real_flow.pg.log_in(credential)
    watchdog.stop()


def test_access_before_its_deadline_is_not_contained(real_flow, grant):
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    watchdog = DeadlineWatchdog(interval_s=1)
    watchdog.refresh(timezone.now())
    contain_overdue(watchdog)
    with real_flow.pg.log_in(credential) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
    watchdog.stop()


def test_extension_that_the_cache_does_not_know_is_kept(real_flow, grant):
    """As after a worker was suspended and resumes past the old deadline."""
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    watchdog = DeadlineWatchdog(interval_s=1)
    watchdog.refresh(timezone.now())
    AccessRequest.objects.update(max_extensions=1, extension_duration=timedelta(minutes=5))
    request = AccessRequest.objects.get()
    extend_access(actor=real_flow.requester, request=request, used=0, window=None)
    with real_flow.pg.log_in(credential) as session:
        with time_machine.travel(grant.deadline + timedelta(seconds=1), tick=True):
            contain_overdue(watchdog)
        assert session.execute("SELECT 1").fetchone() == (1,)
    watchdog.stop()


def test_deadlines_are_known_however_far_away(real_flow):
    grant = real_flow.active_grant(duration=timedelta(minutes=59))
    watchdog = DeadlineWatchdog(interval_s=1)
    watchdog.refresh(timezone.now())
    assert len(watchdog.terminate_on_time(grant.deadline)) == 1
    watchdog.stop()


def test_it_acts_only_when_the_database_is_silent(real_flow, grant):
    watchdog = DeadlineWatchdog(interval_s=1)
    with time_machine.travel(grant.deadline + timedelta(seconds=1), tick=True):
        watchdog.refresh(timezone.now())
        watchdog.start()
        watchdog.database_ok()
        time.sleep(0.6)
        assert real_flow.pg.ask("SELECT rolvaliduntil > now() FROM pg_roles WHERE rolname = %s", [grant.login]) == [(True,)]  # fmt: skip
        watchdog.database_lost()
        wait_for(lambda: not real_flow.pg.ask("SELECT 1 FROM pg_roles WHERE rolname = %s AND rolvaliduntil > now()", [grant.login]))  # fmt: skip
    watchdog.stop()


def test_an_error_does_not_stop_the_watchdog(monkeypatch):
    watchdog, looks = DeadlineWatchdog(interval_s=1), []
    monkeypatch.setattr(watchdog, "_check_deadlines", lambda: (looks.append(1), 1 / 0))
    watchdog.start()
    wait_for(lambda: len(looks) > 1)
    watchdog.stop()


def wait_for(condition, patience_s: float = 10) -> None:
    silent = threading.Event()
    give_up_at = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < give_up_at
        silent.wait(0.05)
