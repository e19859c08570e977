"""Mails leave through a durable outbox: at least once, later if need be, to a real mail server."""

import smtplib
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.events import EventName
from audit.models import Delivery
from audit.outbox.deliveries import (
    LEASE,
    RETRY_PERIOD,
    DeliveryFailed,
    deliver_due,
    enqueue,
    enqueue_email,
    requeue,
    withdraw,
)
from audit.services import record
from tests.fixtures.mail import mail_server, use_server  # noqa: F401

START = 1_800_000_000
SEND = "django.core.mail.EmailMessage.send"


@pytest.fixture
def down(settings):
    """Nobody listens there."""
    use_server(settings, 1)


@pytest.fixture
def delivery(db) -> Delivery:
    return enqueued()


def enqueued() -> Delivery:
    event = record(event=EventName.MFA_RESET, actor=None)
    enqueue_email(
        event=event, recipient="petra@example.org", subject="Your MFA was reset", body="Grüße"
    )
    return Delivery.objects.get(event_id=event.pk)


def test_a_slow_server_does_not_hold_a_worker_that_shall_stop(down, db, monkeypatch):
    monkeypatch.setattr("audit.outbox.deliveries.BUDGET_SECONDS", -1)
    deliveries = [enqueued(), enqueued()]
    deliver_due(timezone.now())
    assert sorted(each.attempts for each in Delivery.objects.all()) == [0, 1]
    deliver_due(timezone.now())
    assert Delivery.objects.filter(attempts=1).count() == len(deliveries)


def test_many_are_written_some_at_a_time(delivery, monkeypatch):
    monkeypatch.setattr("audit.outbox.deliveries.AT_ONCE", 2)
    told = [
        Delivery(event_id=delivery.event_id, kind="security", recipient=f"{name}@example.org", subject="s", body="b")
        for name in ("ada", "bela", "petra", "chidi")
    ]  # fmt: skip
    assert enqueue(iter(told)) == 4
    assert Delivery.objects.count() == 4


def test_a_mail_reaches_a_real_server_once(mail_server, delivery):  # noqa: F811
    assert deliver_due(timezone.now()) == 1
    assert deliver_due(timezone.now()) == 0
    [(recipients, text)] = mail_server.messages
    assert recipients == ["petra@example.org"]
    assert "Subject: Your MFA was reset" in text
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (Delivery.State.SENT, 1)
    assert delivery.sent_at


def test_without_the_commit_there_is_no_mail(db):
    with transaction.atomic():
        enqueued()
        transaction.set_rollback(True)
    assert deliver_due(timezone.now()) == 0
    assert mail.outbox == []


def test_a_server_that_is_down_is_tried_again_with_growing_pauses(down, db):
    with time_machine.travel(START, tick=False) as clock:
        delivery = enqueued()
        pauses = []
        for _ in range(4):
            assert deliver_due(timezone.now()) == 0
            delivery.refresh_from_db()
            pauses.append((delivery.next_attempt_at - timezone.now()).total_seconds())
            clock.move_to(delivery.next_attempt_at)
        assert pauses == [30, 60, 120, 240]
        assert "ConnectionRefusedError" in delivery.last_error


def test_the_mail_comes_when_the_server_is_back(delivery, settings):
    use_server(settings, 1)
    deliver_due(timezone.now())
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert deliver_due(timezone.now()) == 0
    assert deliver_due(timezone.now() + timedelta(seconds=31)) == 1
    assert len(mail.outbox) == 1


def test_after_a_week_it_is_given_up(down, db):
    with time_machine.travel(START, tick=False) as clock:
        delivery = enqueued()
        clock.shift(RETRY_PERIOD)
        deliver_due(timezone.now())
        delivery.refresh_from_db()
        assert delivery.state == Delivery.State.FAILED
        clock.shift(timedelta(days=1))
        assert deliver_due(timezone.now()) == 0


def test_a_worker_that_dies_while_sending_gives_it_back(delivery, monkeypatch):
    def die(*args, **kwargs):
        raise SystemExit

    monkeypatch.setattr(SEND, die)
    with pytest.raises(SystemExit):
        deliver_due(timezone.now())
    monkeypatch.undo()
    assert deliver_due(timezone.now()) == 0
    assert deliver_due(timezone.now() + LEASE + timedelta(seconds=1)) == 1


def test_what_another_worker_has_taken_is_left_alone(delivery, monkeypatch):
    """Both read the same row; the one that moves it first sends it."""

    def sent_by_the_other(*args, **kwargs) -> int:
        assert deliver_due(timezone.now()) == 0
        return 1

    monkeypatch.setattr(SEND, sent_by_the_other)
    assert deliver_due(timezone.now()) == 1
    delivery.refresh_from_db()
    assert delivery.attempts == 1


def test_one_that_fails_does_not_keep_the_others_waiting(db, monkeypatch):
    first, second = enqueued(), enqueued()
    real = mail.EmailMessage.send

    def fail_first(message, fail_silently=False):
        if f"delivery-{first.pk}@" in message.extra_headers["Message-ID"]:
            raise smtplib.SMTPRecipientsRefused({})
        return real(message, fail_silently)

    monkeypatch.setattr(SEND, fail_first)
    assert deliver_due(timezone.now()) == 1
    second.refresh_from_db()
    assert second.state == Delivery.State.SENT


def test_all_tries_of_a_mail_have_one_message_id(delivery, monkeypatch):
    deliver_due(timezone.now())
    requeue(delivery)
    deliver_due(timezone.now())
    first, second = (message.extra_headers["Message-ID"] for message in mail.outbox)
    assert first == second == f"<delivery-{delivery.pk}@localhost>"


def test_nobody_gets_two_for_one_event(delivery):
    again = Delivery(
        event_id=delivery.event_id, recipient=delivery.recipient, subject="x", body="x"
    )
    enqueue([again])
    assert Delivery.objects.get() == delivery
    again.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        again.save(force_insert=True)


def test_what_is_of_no_more_use_is_not_sent(delivery):
    Delivery.objects.update(useful_until=timezone.now() - timedelta(seconds=1))
    assert deliver_due(timezone.now()) == 0
    assert mail.outbox == []
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.WITHDRAWN


def test_what_was_withdrawn_is_not_sent(delivery):
    withdraw(event_ids=[delivery.event_id], kinds=["security"], why="It was decided.")
    assert deliver_due(timezone.now()) == 0
    assert mail.outbox == []


def test_without_a_mail_server_nothing_is_called_sent(delivery, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    assert deliver_due(timezone.now()) == 0
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.FAILED
    assert "EMAIL_URL" in delivery.last_error


def test_sending_again_begins_a_new_week(down, db):
    with time_machine.travel(START, tick=False) as clock:
        delivery = enqueued()
        clock.shift(RETRY_PERIOD)
        deliver_due(timezone.now())
        requeue(delivery)
        deliver_due(timezone.now())
        delivery.refresh_from_db()
        assert delivery.state == Delivery.State.WAITING
        assert delivery.next_attempt_at > timezone.now()


def test_behind_one_that_is_down_the_others_wait_untried(db):
    first, second = enqueued(), enqueued()

    def down(delivery):
        raise DeliveryFailed("Down.", endpoint_down=True)

    assert deliver_due(timezone.now(), carry=down) == 0
    attempts = {each.pk: each.attempts for each in Delivery.objects.all()}
    assert attempts == {first.pk: 1, second.pk: 0}
    assert Delivery.objects.get(pk=second.pk).next_attempt_at > timezone.now()
