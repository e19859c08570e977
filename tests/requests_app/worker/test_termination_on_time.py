"""Sessions are terminated at their deadline, before anything is read or written."""

from datetime import timedelta

import psycopg
import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from audit.models import Event
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.revocation import revoke_access
from requests_app.models import Grant, GrantState
from requests_app.worker.deadline_watchdog import DeadlineWatchdog, terminated_sessions
from requests_app.worker.reconciler import is_urgent
from tests.factories import AccessRequestFactory, GrantFactory
from tests.requests_app.conftest import settle
from tests.requests_app.worker.test_deadline_watchdog import lost

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant(real_flow):
    return real_flow.active_grant(duration=timedelta(minutes=5))


def terminate_at_deadline_of(grant, watchdog: DeadlineWatchdog) -> None:
    """The portal's clock goes to right before the end, the target's own end to now."""
    watchdog.refresh(timezone.now())
    with (
        time_machine.travel(grant.deadline - timedelta(seconds=0.2), tick=True),
        connection.execute_wrapper(lost),
    ):
        for done in watchdog.terminate_on_time(timezone.now()):
            done.result()


@pytest.mark.target
def test_a_session_is_terminated_on_time_without_a_query(real_flow, grant):
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    watchdog = DeadlineWatchdog(interval_s=1)
    with real_flow.pg.log_in(credential) as session:
        real_flow.pg.ask(f"ALTER ROLE {grant.login} VALID UNTIL 'now'")
        terminate_at_deadline_of(grant, watchdog)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    watchdog.stop()
    grant.refresh_from_db()
    assert grant.state == GrantState.ACTIVE
    assert terminated_sessions.count(grant.pk) == 1


@pytest.mark.target
def test_the_thread_terminates_a_session_on_time(real_flow, grant):
    """The database is well, so the thread contains nothing: that is left to the worker's steps."""
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    ends_at = timezone.now() + timedelta(seconds=0.5)
    Grant.objects.update(deadline=ends_at)
    watchdog = DeadlineWatchdog(interval_s=60)
    watchdog.refresh(timezone.now())
    with real_flow.pg.log_in(credential) as session:
        real_flow.pg.ask(f"ALTER ROLE {grant.login} VALID UNTIL '{ends_at.isoformat()}'")
        watchdog.start()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT pg_sleep(5)")
    assert timezone.now() - ends_at < timedelta(seconds=2)
    watchdog.stop()


@pytest.mark.target
def test_sessions_terminated_on_time_are_recorded(real_flow, grant):
    terminated_sessions.add(grant.pk, 2)
    revoke_access(actor=real_flow.requester, request=grant.request)
    settle()
    assert Event.objects.get(event="grant:contain").metadata["sessions_terminated"] == 2


@pytest.mark.target
def test_each_deadline_is_handled_once_and_again_if_it_moves(real_flow, grant):
    watchdog = DeadlineWatchdog(interval_s=1)
    watchdog.refresh(timezone.now())
    close = grant.deadline - timedelta(seconds=0.5)
    begun = watchdog.terminate_on_time(close)
    assert len(begun) == 1
    assert watchdog.terminate_on_time(close) == []
    grant.deadline += timedelta(seconds=0.1)
    grant.save()
    watchdog.refresh(timezone.now() + timedelta(seconds=6))
    assert len(watchdog.terminate_on_time(close)) == 1
    watchdog.stop()


@pytest.mark.target
def test_deadlines_in_one_second_are_each_handled_in_time(real_flow):
    grants = [real_flow.active_grant(duration=timedelta(minutes=5)) for _ in range(3)]
    first = grants[0].deadline
    for number, grant in enumerate(grants):
        grant.deadline = first + number * timedelta(seconds=0.3)
        grant.save()
    watchdog = DeadlineWatchdog(interval_s=1)
    watchdog.refresh(timezone.now())
    close = first - timedelta(seconds=0.2)
    assert len(watchdog.terminate_on_time(close)) == len(grants)
    assert watchdog.terminate_on_time(close) == []
    watchdog.stop()


@pytest.mark.target
def test_a_missed_deadline_is_handled_late(real_flow, grant):
    watchdog = DeadlineWatchdog(interval_s=1)
    watchdog.refresh(timezone.now())
    assert len(watchdog.terminate_on_time(grant.deadline + timedelta(seconds=2))) == 1
    watchdog.stop()


@pytest.mark.target
def test_many_past_deadlines_leave_room_for_those_to_come(real_flow, grant, monkeypatch):
    monkeypatch.setattr("requests_app.worker.deadline_watchdog.MAX_DEADLINES", 1)
    past = timezone.now() - timedelta(minutes=1)
    line = {"integration": grant.integration, "login": "jit_x", "deadline": past}
    for number in range(2):
        GrantFactory(state=GrantState.REVOKING, login_mark=str(number + 1), **line)
    watchdog = DeadlineWatchdog(interval_s=1)
    watchdog.refresh(timezone.now())
    assert len(watchdog.terminate_on_time(grant.deadline - timedelta(seconds=0.5))) == 2
    watchdog.stop()


def test_a_revocation_or_an_approved_request_is_urgent():
    assert not is_urgent(timezone.now())
    ending = GrantFactory(state=GrantState.REVOKING)
    assert is_urgent(timezone.now())
    ending.delete()
    AccessRequestFactory()
    assert is_urgent(timezone.now())


@pytest.mark.parametrize("state", [GrantState.ACTIVE, GrantState.CONTAINED, GrantState.REMOVED])
def test_other_states_are_not_urgent(state):
    GrantFactory(state=state)
    assert not is_urgent(timezone.now())
