"""Fan-out reads the log in the order of its chain: every event is delivered once."""

import threading

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apono_portal.notifications.fan_out import _read_batch, fan_out
from apono_portal.notifications.models import ReadPosition
from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.models import Delivery, Event
from audit.services import record
from tests.factories import IntegrationFactory, UserFactory
from tests.notifications.conftest import run_fan_out

METADATA = {"health": "down", "failed": ["reachable"]}


@pytest.mark.django_db
def test_events_before_the_read_position_are_skipped():
    UserFactory(admin=True)
    record(
        event=EventName.INTEGRATION_CHECK,
        actor=None,
        target=IntegrationFactory(),
        metadata=METADATA,
    )
    write_checkpoints(timezone.now())
    ReadPosition.objects.update_or_create(pk=ReadPosition.ONLY, defaults={"position": 10**6})
    assert fan_out(timezone.now()) == 0


@pytest.mark.django_db(transaction=True)
def test_event_that_commits_late_is_delivered():
    """On PostgreSQL its id is lower than that of an event delivered before."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer, so ids are in the order of commits")
    admin = UserFactory(admin=True)
    first, second = IntegrationFactory.create_batch(2)
    has_id, may_commit = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with transaction.atomic():
            record(event=EventName.INTEGRATION_CHECK, actor=None, target=first, metadata=METADATA)
            has_id.set()
            assert may_commit.wait(20)
        connection.close()

    slow = threading.Thread(target=write_slowly)
    slow.start()
    assert has_id.wait(20)
    record(event=EventName.INTEGRATION_CHECK, actor=None, target=second, metadata=METADATA)
    assert run_fan_out() == 1
    may_commit.set()
    slow.join()
    assert run_fan_out() == 1
    late, early = (Event.objects.order_by("pk")[n].pk for n in (0, 1))
    event_ids = list(Delivery.objects.order_by("pk").values_list("event_id", flat=True))
    assert event_ids == [early, late]
    assert set(Delivery.objects.values_list("recipient", flat=True)) == {admin.email}


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_deliver_once():
    UserFactory(admin=True)
    record(
        event=EventName.INTEGRATION_CHECK,
        actor=None,
        target=IntegrationFactory(),
        metadata=METADATA,
    )
    write_checkpoints(timezone.now())
    both = threading.Barrier(2)

    def read() -> None:
        both.wait(20)
        fan_out(timezone.now())
        connection.close()

    workers = [threading.Thread(target=read) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    fan_out(timezone.now())
    assert Delivery.objects.count() == 1


@pytest.mark.django_db
def test_transactions_stay_small_when_events_have_many_recipients(monkeypatch):
    monkeypatch.setattr("apono_portal.notifications.fan_out.MAX_RECIPIENTS", 3)
    admins = [UserFactory(admin=True) for _ in range(2)]
    for integration in IntegrationFactory.create_batch(3):
        record(event=EventName.INTEGRATION_CHECK, actor=None, target=integration, metadata=METADATA)
    write_checkpoints(timezone.now())
    assert [_read_batch() for _ in range(3)] == [4, 2, 0]
    pairs = Delivery.objects.values_list("event_id", "recipient")
    assert len(set(pairs)) == len(pairs) == 3 * len(admins)
