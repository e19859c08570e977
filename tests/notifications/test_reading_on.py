"""The log is read in the order of its chain: whatever commits late is still told, and once."""

import threading

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apono_portal.notifications.fan_out import _read_on
from apono_portal.notifications.models import ReadPosition
from apono_portal.notifications.worker_tasks import fan_out
from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.models import Delivery, Event
from audit.services import record
from tests.factories import IntegrationFactory, UserFactory
from tests.notifications.conftest import read_on

TOLD = {"health": "down", "failed": ["reachable"]}


@pytest.mark.django_db
def test_history_is_not_told_when_the_portal_is_updated():
    """The migration set the mark; what is sealed behind it is left alone."""
    UserFactory(admin=True)
    record(
        event=EventName.INTEGRATION_CHECK, actor=None, target=IntegrationFactory(), metadata=TOLD
    )
    write_checkpoints(timezone.now())
    ReadPosition.objects.update_or_create(pk=ReadPosition.ONLY, defaults={"position": 10**6})
    assert fan_out(timezone.now()) == 0


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_is_told_all_the_same():
    """On PostgreSQL its number is lower than that of an event which was told before."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer, so numbers are in the order of commits")
    admin = UserFactory(admin=True)
    first, second = IntegrationFactory.create_batch(2)
    numbered, go_on = threading.Event(), threading.Event()

    def writes_slowly() -> None:
        with transaction.atomic():
            record(event=EventName.INTEGRATION_CHECK, actor=None, target=first, metadata=TOLD)
            numbered.set()
            assert go_on.wait(20)
        connection.close()

    slow = threading.Thread(target=writes_slowly)
    slow.start()
    assert numbered.wait(20)
    record(event=EventName.INTEGRATION_CHECK, actor=None, target=second, metadata=TOLD)
    assert read_on() == 1
    go_on.set()
    slow.join()
    assert read_on() == 1
    late, early = (Event.objects.order_by("pk")[n].pk for n in (0, 1))
    told = list(Delivery.objects.order_by("pk").values_list("event_id", flat=True))
    assert told == [early, late]
    assert set(Delivery.objects.values_list("recipient", flat=True)) == {admin.email}


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_read_at_once_tell_once():
    UserFactory(admin=True)
    record(
        event=EventName.INTEGRATION_CHECK, actor=None, target=IntegrationFactory(), metadata=TOLD
    )
    write_checkpoints(timezone.now())
    both = threading.Barrier(2)

    def reads() -> None:
        both.wait(20)
        fan_out(timezone.now())
        connection.close()

    workers = [threading.Thread(target=reads) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    fan_out(timezone.now())
    assert Delivery.objects.count() == 1


@pytest.mark.django_db
def test_what_is_for_many_people_is_told_event_by_event_and_once(monkeypatch):
    monkeypatch.setattr("apono_portal.notifications.fan_out.MOST_PEOPLE", 3)
    admins = [UserFactory(admin=True) for _ in range(2)]
    for integration in IntegrationFactory.create_batch(3):
        record(event=EventName.INTEGRATION_CHECK, actor=None, target=integration, metadata=TOLD)
    write_checkpoints(timezone.now())
    assert [_read_on() for _ in range(3)] == [4, 2, 0]
    pairs = Delivery.objects.values_list("event_id", "recipient")
    assert len(set(pairs)) == len(pairs) == 3 * len(admins)
