"""Emails leave through a durable outbox: at least once, with retries, to a real mail server."""

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


def test_a_slow_server_does_not_keep_a_worker_from_stopping(down, db, monkeypatch):
    monkeypatch.setattr("audit.outbox.deliveries.BUDGET_SECONDS", -1)
    deliveries = [enqueued(), enqueued()]
    deliver_due(timezone.now())
    assert sorted(delivery.attempts for delivery in Delivery.objects.all()) == [0, 1]
    deliver_due(timezone.now())
    assert Delivery.objects.filter(attempts=1).count() == len(deliveries)


def test_many_deliveries_are_written_in_batches(delivery, monkeypatch):
    monkeypatch.setattr("audit.outbox.deliveries.WRITE_BATCH_SIZE", 2)
    deliveries = [
        Delivery(event_id=delivery.event_id, kind="security", recipient=f"{name}@example.org", subject="s", body="b")
        for name in ("ada", "bela", "petra", "chidi")
    ]  # fmt: skip
    assert enqueue(iter(deliveries)) == 4
    assert Delivery.objects.count() == 4


def test_an_email_reaches_a_real_server_once(mail_server, delivery):  # noqa: F811
    assert deliver_due(timezone.now()) == 1
    assert deliver_due(timezone.now()) == 0
    [(recipients, text)] = mail_server.messages
    assert recipients == ["petra@example.org"]
    assert "Subject: Your MFA was reset" in text
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (Delivery.State.SENT, 1)
    assert delivery.sent_at


def test_a_rolled_back_email_is_not_sent(db):
    with transaction.atomic():
        enqueued()
        transaction.set_rollback(True)
    assert deliver_due(timezone.now()) == 0
    assert mail.outbox == []


def test_a_server_that_is_down_is_retried_with_growing_delays(down, db):
    with time_machine.travel(START, tick=False) as clock:
        delivery = enqueued()
        delays = []
        for _ in range(4):
            assert deliver_due(timezone.now()) == 0
            delivery.refresh_from_db()
            delays.append((delivery.next_attempt_at - timezone.now()).total_seconds())
            clock.move_to(delivery.next_attempt_at)
        assert delays == [30, 60, 120, 240]
        assert "ConnectionRefusedError" in delivery.last_error


def test_the_email_is_sent_when_the_server_is_back(delivery, settings):
    use_server(settings, 1)
    deliver_due(timezone.now())
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert deliver_due(timezone.now()) == 0
    assert deliver_due(timezone.now() + timedelta(seconds=31)) == 1
    assert len(mail.outbox) == 1


def test_a_delivery_fails_after_a_week(down, db):
    with time_machine.travel(START, tick=False) as clock:
        delivery = enqueued()
        clock.shift(RETRY_PERIOD)
        deliver_due(timezone.now())
        delivery.refresh_from_db()
        assert delivery.state == Delivery.State.FAILED
        clock.shift(timedelta(days=1))
        assert deliver_due(timezone.now()) == 0


def test_a_delivery_is_due_again_when_its_worker_died(delivery, monkeypatch):
    def die(*args, **kwargs):
        raise SystemExit

    monkeypatch.setattr(SEND, die)
    with pytest.raises(SystemExit):
        deliver_due(timezone.now())
    monkeypatch.undo()
    assert deliver_due(timezone.now()) == 0
    assert deliver_due(timezone.now() + LEASE + timedelta(seconds=1)) == 1


def test_a_delivery_claimed_by_another_worker_is_skipped(delivery, monkeypatch):
    """Both read the same row; the first to claim it sends it."""

    def sent_by_the_other(*args, **kwargs) -> int:
        assert deliver_due(timezone.now()) == 0
        return 1

    monkeypatch.setattr(SEND, sent_by_the_other)
    assert deliver_due(timezone.now()) == 1
    delivery.refresh_from_db()
    assert delivery.attempts == 1


def test_a_delivery_that_another_worker_is_sending_is_not_sent_twice(db):
    """Both read two rows. While one sends the first, the other claims the second."""
    first, second = enqueued(), enqueued()
    sent = []

    def claim_and_send_for_long(delivery: Delivery) -> None:
        sent.append(delivery.pk)
        raise SystemExit

    def send_while_another_claims(delivery: Delivery) -> None:
        sent.append(delivery.pk)
        with pytest.raises(SystemExit):
            deliver_due(timezone.now(), send=claim_and_send_for_long)

    deliver_due(timezone.now(), send=send_while_another_claims)
    assert sent == [first.pk, second.pk]


def test_one_failure_does_not_delay_the_others(db, monkeypatch):
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


def test_all_attempts_have_the_same_message_id(delivery, monkeypatch):
    deliver_due(timezone.now())
    requeue(delivery)
    deliver_due(timezone.now())
    first, second = (message.extra_headers["Message-ID"] for message in mail.outbox)
    assert first == second == f"<delivery-{delivery.pk}@localhost>"


def test_nobody_gets_two_deliveries_of_one_event(delivery):
    again = Delivery(
        event_id=delivery.event_id, recipient=delivery.recipient, subject="x", body="x"
    )
    enqueue([again])
    assert Delivery.objects.get() == delivery
    again.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        again.save(force_insert=True)


def test_a_delivery_past_its_use_is_not_sent(delivery):
    Delivery.objects.update(useful_until=timezone.now() - timedelta(seconds=1))
    assert deliver_due(timezone.now()) == 0
    assert mail.outbox == []
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.WITHDRAWN


def test_a_withdrawn_delivery_is_not_sent(delivery):
    withdraw(event_ids=[delivery.event_id], kinds=["security"], why="It was decided.")
    assert deliver_due(timezone.now()) == 0
    assert mail.outbox == []


def test_without_a_mail_server_nothing_is_called_failed(delivery, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    assert deliver_due(timezone.now()) == 0
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.WITHDRAWN
    assert delivery.last_error == "Email is not configured."


def test_requeuing_starts_a_new_week_of_attempts(down, db):
    with time_machine.travel(START, tick=False) as clock:
        delivery = enqueued()
        clock.shift(RETRY_PERIOD)
        deliver_due(timezone.now())
        requeue(delivery)
        deliver_due(timezone.now())
        delivery.refresh_from_db()
        assert delivery.state == Delivery.State.WAITING
        assert delivery.next_attempt_at > timezone.now()


def test_other_deliveries_to_an_endpoint_that_is_down_wait(db):
    first, second = enqueued(), enqueued()

    def down(delivery):
        raise DeliveryFailed("Down.", endpoint_down=True)

    assert deliver_due(timezone.now(), send=down) == 0
    attempts = dict(Delivery.objects.values_list("pk", "attempts"))
    assert attempts == {first.pk: 1, second.pk: 0}
    assert Delivery.objects.get(pk=second.pk).next_attempt_at > timezone.now()
