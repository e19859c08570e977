"""Verify now: asked for on the page, done by a worker in slices, told with its findings."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from audit.events import EventName
from audit.integrity import background_verification, triggers
from audit.integrity.background_verification import LOST_AFTER, LogVerifier
from audit.integrity.checkpoints import write_checkpoints
from audit.models import ChainState, Event, LogVerification
from audit.services import record

ASK, PAGE = "/audit-log/verification/ask/", "/audit-log/verification/"


@pytest.fixture
def log(db) -> list[int]:
    numbers = [record(event=EventName.MFA_VERIFY, actor=None).pk for _ in range(6)]
    write_checkpoints(timezone.now())
    return numbers


@pytest.fixture
def slow(monkeypatch):
    """Every slice checks one record."""
    monkeypatch.setattr(background_verification, "SLICE_S", -1)


def page_of(client) -> str:
    return " ".join(client.get(PAGE).content.decode().split())


def tamper(number: int) -> None:
    triggers.run(connection, triggers.remove_sql(connection.vendor))
    Event.objects.filter(pk=number).update(actor_label="Somebody else")


def test_an_auditor_asks_and_a_worker_verifies(auditor_client, auditor_user, log):
    auditor_client.post(ASK)
    assert "Waits for a worker." in page_of(auditor_client)
    LogVerifier()(timezone.now())
    page = page_of(auditor_client)
    assert "7 sealed events were checked" in page
    assert "Nothing was found." in page
    event = Event.objects.get(event="audit:verify")
    assert (event.actor_id, event.address) == (auditor_user.pk, "127.0.0.1")
    assert Event.objects.filter(
        event="audit:request_verification", actor_id=auditor_user.pk
    ).exists()


def test_what_is_found_is_named_on_the_page(auditor_client, log):
    tamper(log[2])
    auditor_client.post(ASK)
    LogVerifier()(timezone.now())
    assert f"EDITED: Event {log[2]}" in page_of(auditor_client)


def test_the_log_says_by_whom_it_was_verified(auditor_client, log):
    auditor_client.post(ASK)
    LogVerifier()(timezone.now())
    page = " ".join(auditor_client.get("/audit-log/").content.decode().split())
    assert "by Audrey Auditor: nothing was found." in page
    assert 'action="/audit-log/verification/ask/"' in page


def test_the_page_follows_the_walk(auditor_client, log, slow):
    auditor_client.post(ASK)
    worker = LogVerifier()
    for _ in range(3):
        worker(timezone.now())
    page = page_of(auditor_client)
    assert "of about 7 sealed events are checked" in page
    assert "Verify now" not in page
    for _ in range(10):
        worker(timezone.now())
    assert "7 sealed events were checked" in page_of(auditor_client)


def test_asking_twice_begins_one_walk(auditor_client, admin_client, log):
    auditor_client.post(ASK)
    admin_client.post(ASK)
    assert LogVerification.objects.count() == 1
    assert Event.objects.filter(event="audit:request_verification").count() == 1
    LogVerifier()(timezone.now())
    admin_client.post(ASK)
    assert LogVerification.objects.count() == 2


def test_of_two_workers_one_walks(auditor_client, log, slow):
    auditor_client.post(ASK)
    one, other = LogVerifier(), LogVerifier()
    one(timezone.now())
    holder = LogVerification.objects.get().held_by
    other(timezone.now())
    assert LogVerification.objects.get().held_by == holder


def test_a_walk_whose_worker_died_is_begun_anew_by_another(auditor_client, log, slow):
    auditor_client.post(ASK)
    dead, other = LogVerifier(), LogVerifier()
    dead(timezone.now())
    LogVerification.objects.update(beat_at=timezone.now() - LOST_AFTER - timedelta(seconds=1))
    for _ in range(12):
        other(timezone.now())
    dead(timezone.now())
    assert dead._check is None  # it lets go of what is no longer its own
    assert LogVerification.objects.get().checked == 7
    assert Event.objects.filter(event="audit:verify").count() == 1


def test_a_walk_that_broke_off_proves_nothing(auditor_client, log, slow, monkeypatch):
    """An iterator that raised is at its end: to go on with it would find nothing, of nothing."""
    auditor_client.post(ASK)
    worker = LogVerifier()
    worker(timezone.now())

    def breaks():
        raise DatabaseError
        yield

    worker._steps = breaks()
    with pytest.raises(DatabaseError):
        worker(timezone.now())
    worker(timezone.now())
    assert LogVerification.objects.get().state == LogVerification.State.RUNNING
    assert ChainState.objects.get().verified_at is None
