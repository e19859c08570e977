"""A reminder is recorded once for each end, and again after an extension."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from requests_app.grants.reminders import record_reminders, reminder_time
from requests_app.models import AccessRequest, Status
from tests.factories import AccessRequestFactory

pytestmark = pytest.mark.django_db


def opened(**fields) -> AccessRequest:
    request = AccessRequestFactory(status=Status.ACTIVE, **fields)
    request.remind_at = reminder_time(request.starts_at, request.ends_at)
    request.save()
    return request


def reminders() -> int:
    return Event.objects.filter(event=EventName.REQUEST_REMIND).count()


@pytest.mark.parametrize(
    ("duration", "before"),
    [
        (timedelta(hours=8), timedelta(minutes=15)),
        (timedelta(minutes=150), timedelta(minutes=15)),
        (timedelta(hours=1), timedelta(minutes=6)),
        (timedelta(minutes=10), timedelta(minutes=1)),
    ],
)
def test_the_reminder_comes_15_minutes_before_or_at_the_last_tenth(duration, before):
    start = timezone.now()
    assert reminder_time(start, start + duration) == start + duration - before


def test_the_reminder_is_recorded_once(db):
    request = opened()
    assert record_reminders(now=request.remind_at - timedelta(seconds=1)) == 0
    assert [record_reminders(now=request.remind_at) for _ in range(3)] == [1, 0, 0]
    assert reminders() == 1


def test_an_extension_sets_another_reminder(db):
    request = opened()
    record_reminders(now=request.remind_at)
    later = request.ends_at + timedelta(hours=1)
    again = reminder_time(request.starts_at, later)
    AccessRequest.objects.update(ends_at=later, remind_at=again)
    assert record_reminders(now=again) == 1
    assert reminders() == 2


def test_expired_access_gets_no_reminder(db):
    request = opened()
    assert record_reminders(now=request.ends_at) == 0


def test_revoked_access_gets_no_reminder(db):
    request = opened()
    AccessRequest.objects.update(status=Status.REVOKING)
    with time_machine.travel(request.remind_at):
        assert record_reminders(now=timezone.now()) == 0
