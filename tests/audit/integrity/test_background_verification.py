"""Verify now: requested on the page, run by a worker in slices, shown with its findings."""

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

START, PAGE = "/audit-log/verification/start/", "/audit-log/verification/"


@pytest.fixture
def log(db) -> list[int]:
    numbers = [record(event=EventName.MFA_VERIFY, actor=None).pk for _ in range(6)]
    write_checkpoints(timezone.now())
    return numbers


@pytest.fixture
def slow(monkeypatch):
    """Every slice verifies one record."""
    monkeypatch.setattr(background_verification, "SLICE_SECONDS", -1)


def page_of(client) -> str:
    return " ".join(client.get(PAGE).content.decode().split())


def tamper(number: int) -> None:
    triggers.run(connection, triggers.remove_sql(connection.vendor))
    Event.objects.filter(pk=number).update(actor_label="Somebody else")


def test_an_auditor_requests_and_a_worker_verifies(auditor_client, auditor_user, log):
    auditor_client.post(START)
    assert "Waiting for a worker." in page_of(auditor_client)
    LogVerifier()(timezone.now())
    page = page_of(auditor_client)
    assert "7 events checked" in page
    assert "No tampering found." in page
    event = Event.objects.get(event="audit:verify")
    assert (event.actor_id, event.address) == (auditor_user.pk, "127.0.0.1")
    assert Event.objects.filter(
        event="audit:request_verification", actor_id=auditor_user.pk
    ).exists()


def test_the_page_lists_the_findings(auditor_client, log):
    tamper(log[2])
    auditor_client.post(START)
    LogVerifier()(timezone.now())
    assert f"EDITED: Event {log[2]}" in page_of(auditor_client)


def test_the_log_shows_who_verified_it(auditor_client, log):
    auditor_client.post(START)
    LogVerifier()(timezone.now())
    page = " ".join(auditor_client.get("/audit-log/").content.decode().split())
    assert "by Audrey Auditor: no tampering found." in page
    assert 'action="/audit-log/verification/start/"' in page


def test_the_page_shows_progress(auditor_client, log, slow):
    auditor_client.post(START)
    worker = LogVerifier()
    for _ in range(3):
        worker(timezone.now())
    page = page_of(auditor_client)
    assert "of about 7 events checked" in page
    assert "Verify now" not in page
    for _ in range(10):
        worker(timezone.now())
    assert "7 events checked" in page_of(auditor_client)


def test_a_second_request_joins_the_open_verification(auditor_client, admin_client, log):
    auditor_client.post(START)
    admin_client.post(START)
    assert LogVerification.objects.count() == 1
    assert Event.objects.filter(event="audit:request_verification").count() == 1
    LogVerifier()(timezone.now())
    admin_client.post(START)
    assert LogVerification.objects.count() == 2


def test_one_of_two_workers_verifies(auditor_client, log, slow):
    auditor_client.post(START)
    one, other = LogVerifier(), LogVerifier()
    one(timezone.now())
    claimed_by = LogVerification.objects.get().worker
    other(timezone.now())
    assert LogVerification.objects.get().worker == claimed_by


def test_another_worker_starts_again_when_one_died(auditor_client, log, slow):
    auditor_client.post(START)
    dead, other = LogVerifier(), LogVerifier()
    dead(timezone.now())
    LogVerification.objects.update(heartbeat_at=timezone.now() - LOST_AFTER - timedelta(seconds=1))
    for _ in range(12):
        other(timezone.now())
    dead(timezone.now())
    assert dead._verification is None
    assert LogVerification.objects.get().checked == 7
    assert Event.objects.filter(event="audit:verify").count() == 1


def test_an_interrupted_verification_proves_nothing(auditor_client, log, slow, monkeypatch):
    """An iterator that raised is exhausted: continuing would verify nothing and find nothing."""
    auditor_client.post(START)
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
