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


def test_a_grant_is_taken_by_one(grant):
    lease, taken = take(grant=grant)
    assert taken == [grant]
    assert taken[0].lease_by == lease
    assert take("two", grant=grant)[1] == []


def test_a_lease_that_ran_out_is_taken_over(grant):
    take(grant=grant)
    Grant.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert take("two", grant=grant)[1] == [grant]


def test_a_lease_is_as_long_as_the_setting_says(grant):
    take(grant=grant)
    beyond = Grant.objects.filter(lease_until__gt=Now() + settings.WORKER_LEASE)
    within = Grant.objects.filter(lease_until__gt=Now() + settings.WORKER_LEASE / 2)
    assert (beyond.count(), within.count()) == (0, 1)


def test_grants_of_one_integration_share_it_and_what_steps_ask_of_requests(grant):
    other = GrantFactory(state=grant.state, integration=grant.integration)
    Grant.objects.filter(pk=other.pk).update(next_attempt_at=grant.next_attempt_at)
    _, held = take(grant=grant, limit=2)
    with CaptureQueriesContext(connection) as asked:
        assert held[0].integration is held[1].integration
        assert all((each.request.reference, each.request.pending_until) for each in held)
        assert all(each.spec(each.integration) for each in held)
    assert len(asked) == 0


def test_whoever_lost_the_lease_cannot_renew_it(grant):
    lease, _ = take(grant=grant)
    Grant.objects.update(lease_until=Now() - timedelta(seconds=1))
    take("two", grant=grant)
    assert not renew([grant], lease)


def test_whoever_lost_the_lease_gives_nothing_back(grant):
    lease, _ = take(grant=grant)
    Grant.objects.update(lease_until=Now() - timedelta(seconds=1))
    second, _ = take("two", grant=grant)
    release([grant], lease)
    retry_later([grant], lease, step="contain", sentence="Late")
    grant.refresh_from_db()
    assert (grant.lease_by, grant.attempts) == (second, 0)


def test_a_grant_given_back_waits_for_its_turn(grant):
    lease, _ = take(grant=grant)
    retry_later([grant], lease, step="contain", sentence="No answer.")
    assert take("two", grant=grant)[1] == []
    grant.refresh_from_db()
    assert grant.next_attempt_at > timezone.now()
    assert (grant.attempts, grant.last_error, grant.lease_by) == (1, "No answer.", "")


def test_waits_grow_to_a_minute_and_no_further(grant):
    waits = []
    for _ in range(9):
        Grant.objects.update(next_attempt_at=timezone.now())
        lease, [taken] = take(grant=grant)
        before = timezone.now()
        retry_later([taken], lease, step="contain", sentence="No answer.")
        taken.refresh_from_db()
        waits.append(round((taken.next_attempt_at - before).total_seconds()))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_same_trouble_is_put_on_the_record_once(grant):
    for sentence in ("No answer.", "No answer.", "Refused."):
        Grant.objects.update(next_attempt_at=timezone.now())
        lease, [taken] = take(grant=grant)
        retry_later([taken], lease, step="contain", sentence=sentence)
    told = Event.objects.filter(event=EventName.GRANT_RETRY).order_by("pk")
    assert [event.metadata["reason"] for event in told] == ["No answer.", "Refused."]


def test_the_longest_waiting_goes_first(grant):
    older = GrantFactory(state=GrantState.REVOKING, integration=grant.integration)
    Grant.objects.filter(pk=older.pk).update(next_attempt_at=timezone.now() - timedelta(hours=1))
    assert take(grant=grant, limit=1)[1] == [older]
