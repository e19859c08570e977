"""What is only history is removed after a while; what is waiting or recent is not."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from accessflows.models import CanaryRun
from apono_portal import retention
from apono_portal.retention import OldRowRemover, remove_old_rows
from audit.models import Delivery, Event
from tests.factories import IntegrationFactory

pytestmark = pytest.mark.django_db


def delivery(number: int, *, days: int, state: str = "sent") -> Delivery:
    at = timezone.now() - timedelta(days=days)
    values = {"recipient": "a@example.org", "subject": "s", "body": "b", "state": state}
    return Delivery.objects.create(event_id=number, created_at=at, **values)


def test_deliveries_that_are_old_and_done_are_removed(monkeypatch):
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    for number in range(5):
        delivery(number, days=181)
    remaining = [delivery(10, days=179), delivery(11, days=300, state="waiting")]
    assert remove_old_rows(timezone.now())["deliveries"] == 5
    assert list(Delivery.objects.order_by("pk")) == remaining


def test_zero_keeps_everything(settings):
    settings.DELIVERY_RETENTION_DAYS = settings.CHECK_RETENTION_DAYS = 0
    delivery(1, days=5000)
    remove_old_rows(timezone.now())
    assert Delivery.objects.count() == 1


def test_only_expired_sessions_are_removed():
    now = timezone.now()
    for number, minutes in ((1, -1), (2, 1)):
        Session.objects.create(session_key=number, expire_date=now + timedelta(minutes=minutes))
    remove_old_rows(now)
    assert [row.session_key for row in Session.objects.all()] == ["2"]


def test_results_of_canaries_are_removed_once_old():
    integration, now = IntegrationFactory(), timezone.now()
    for days in (91, 89):
        CanaryRun.objects.create(
            integration=integration,
            resource="orders",
            permission="read",
            requested_by_label="A",
            state=CanaryRun.State.PASSED,
            finished_at=now - timedelta(days=days),
        )
    assert remove_old_rows(now)["canaries"] == 1


def test_it_is_done_once_an_hour_and_leaves_the_log_alone(django_assert_num_queries):
    task, now = OldRowRemover(), timezone.now()
    before = Event.objects.count()
    task(now)
    with django_assert_num_queries(0):
        task(now + timedelta(minutes=59))
    delivery(1, days=400)
    task(now + timedelta(minutes=61))
    assert not Delivery.objects.exists()
    assert Event.objects.count() == before
