"""A copy of the portal's database, started with a PORTAL_ID of its own, leaves the original's logins alone."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from requests_app.grants.credentials import reveal_credential
from requests_app.grants.revocation import revoke_access
from requests_app.models import GrantState
from requests_app.worker.deadline_watchdog import DeadlineWatchdog
from tests.fixtures.worker import sweep

pytestmark = [pytest.mark.target, pytest.mark.django_db]


@pytest.fixture
def grant(real_flow):
    return real_flow.active_grant(duration=timedelta(minutes=5))


@pytest.fixture
def session(real_flow, grant):
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    with real_flow.pg.log_in(credential) as session:
        yield session


def test_copy_revokes_nothing_on_the_target(real_flow, grant, session, settings):
    settings.PORTAL_ID = "copy.example.org"
    revoke_access(actor=real_flow.requester, request=grant.request)
    sweep("copy", timezone.now())
    assert session.execute("SELECT 1").fetchone() == (1,)
    grant.refresh_from_db()
    assert grant.state == GrantState.REVOKING
    assert "belongs to the portal" in grant.last_error


def test_watchdog_of_a_copy_contains_nothing(grant, session, settings):
    settings.PORTAL_ID = "copy.example.org"
    watchdog = DeadlineWatchdog(interval_s=1)
    watchdog.refresh(timezone.now())
    with time_machine.travel(grant.deadline + timedelta(seconds=1), tick=True):
        for task in watchdog.contain_overdue(timezone.now()):
            task.result()
    assert session.execute("SELECT 1").fetchone() == (1,)
    watchdog.stop()


def test_original_still_revokes(real_flow, grant, session):
    revoke_access(actor=real_flow.requester, request=grant.request)
    sweep("original", timezone.now())
    grant.refresh_from_db()
    assert grant.state in {GrantState.CONTAINED, GrantState.REMOVED}
