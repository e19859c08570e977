"""Who works on a grant: one at a time, and never for ever."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from requests_app.grants.leases import claim, release, renew, retry_later
from requests_app.models import Grant, GrantState
from tests.factories import GrantFactory

pytestmark = pytest.mark.django_db


def take(worker="one", *, grant, limit=10):
    return claim(
        worker,
        integration_id=grant.integration_id,
        state=grant.state,
        limit=limit,
        duration=settings.WORKER_LEASE,
        now=timezone.now(),
    )


@pytest.fixture
def grant():
    return GrantFactory(state=GrantState.REVOKING)


def test_a_grant_is_claimed_by_one_worker(grant):
    lease, claimed = take(grant=grant)
    assert claimed == [grant]
    assert claimed[0].lease_by == lease
    assert take("two", grant=grant)[1] == []


def test_an_expired_lease_is_taken_over(grant):
    take(grant=grant)
    Grant.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert take("two", grant=grant)[1] == [grant]


def test_a_lease_is_as_long_as_the_setting_says(grant):
    take(grant=grant)
    beyond = Grant.objects.filter(lease_until__gt=Now() + settings.WORKER_LEASE)
    within = Grant.objects.filter(lease_until__gt=Now() + settings.WORKER_LEASE / 2)
    assert (beyond.count(), within.count()) == (0, 1)


def test_claimed_grants_share_their_integration_and_have_their_request(grant):
    other = GrantFactory(state=grant.state, integration=grant.integration)
    Grant.objects.filter(pk=other.pk).update(next_attempt_at=grant.next_attempt_at)
    _, held = take(grant=grant, limit=2)
    with CaptureQueriesContext(connection) as queries:
        assert held[0].integration is held[1].integration
        assert all((each.request.reference, each.request.pending_until) for each in held)
        assert all(each.spec(each.integration) for each in held)
    assert len(queries) == 0


def test_a_lost_lease_cannot_be_renewed(grant):
    lease, _ = take(grant=grant)
    Grant.objects.update(lease_until=Now() - timedelta(seconds=1))
    take("two", grant=grant)
    assert not renew([grant], lease)


def test_a_lost_lease_releases_nothing(grant):
    lease, _ = take(grant=grant)
    Grant.objects.update(lease_until=Now() - timedelta(seconds=1))
    second, _ = take("two", grant=grant)
    release([grant], lease)
    retry_later([grant], lease, step="contain", sentence="Late")
    grant.refresh_from_db()
    assert (grant.lease_by, grant.attempts) == (second, 0)


def test_a_released_grant_waits_for_its_next_attempt(grant):
    lease, _ = take(grant=grant)
    retry_later([grant], lease, step="contain", sentence="No answer.")
    assert take("two", grant=grant)[1] == []
    grant.refresh_from_db()
    assert grant.next_attempt_at > timezone.now()
    assert (grant.attempts, grant.last_error, grant.lease_by) == (1, "No answer.", "")


def test_retry_delays_grow_to_a_minute(grant):
    waits = []
    for _ in range(9):
        Grant.objects.update(next_attempt_at=timezone.now())
        lease, [claimed] = take(grant=grant)
        before = timezone.now()
        retry_later([claimed], lease, step="contain", sentence="No answer.")
        claimed.refresh_from_db()
        waits.append(round((claimed.next_attempt_at - before).total_seconds()))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_repeated_failure_is_recorded_once(grant):
    for sentence in ("No answer.", "No answer.", "Refused."):
        Grant.objects.update(next_attempt_at=timezone.now())
        lease, [claimed] = take(grant=grant)
        retry_later([claimed], lease, step="contain", sentence=sentence)
    events = Event.objects.filter(event=EventName.GRANT_RETRY).order_by("pk")
    assert [event.metadata["reason"] for event in events] == ["No answer.", "Refused."]


def test_the_longest_waiting_goes_first(grant):
    older = GrantFactory(state=GrantState.REVOKING, integration=grant.integration)
    Grant.objects.filter(pk=older.pk).update(next_attempt_at=timezone.now() - timedelta(hours=1))
    assert take(grant=grant, limit=1)[1] == [older]
