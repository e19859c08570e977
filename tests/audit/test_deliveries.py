"""Mails leave through a durable outbox: at least once, later if need be, to a real mail server."""

import socket
from datetime import timedelta

import pytest
import time_machine
from aiosmtpd.controller import Controller
from django.core import mail
from django.db import transaction
from django.utils import timezone

from audit.deliveries import KEEP_TRYING, LEASE, deliver_due, enqueue_mail
from audit.events import EventName
from audit.models import Delivery
from audit.services import record

SMTP = "django.core.mail.backends.smtp.EmailBackend"
START = 1_800_000_000


class Mailbox:
    """A mail server's memory."""

    def __init__(self) -> None:
        self.messages: list[tuple[list[str], str]] = []

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802  aiosmtpd's name
        self.messages.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server(settings):
    """A real SMTP server on loopback, and the portal set to it."""
    mailbox = Mailbox()
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
        SMTP,
        "127.0.0.1",
        free_port(),
    )
    controller = Controller(mailbox, hostname="127.0.0.1", port=settings.EMAIL_PORT)
    controller.start()
    yield mailbox
    controller.stop()


@pytest.fixture
def down(settings):
    """Nobody listens there."""
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "127.0.0.1", 1


@pytest.fixture
def delivery(db) -> Delivery:
    return enqueued()


def enqueued() -> Delivery:
    event = record(event=EventName.MFA_RESET, actor=None)
    return enqueue_mail(
        event=event, recipient="petra@example.org", subject="Your MFA was reset", body="Grüße"
    )


def test_a_mail_reaches_a_real_server_once(server, delivery):
    assert deliver_due(timezone.now()) == 1
    assert deliver_due(timezone.now()) == 0
    [(recipients, text)] = server.messages
    assert recipients == ["petra@example.org"]
    assert "Subject: Your MFA was reset" in text
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == (Delivery.State.SENT, 1)
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
            pauses.append((delivery.next_try_at - timezone.now()).total_seconds())
            clock.move_to(delivery.next_try_at)
        assert pauses == [30, 60, 120, 240]
        assert delivery.last_error == "ConnectionRefusedError"


def test_the_mail_comes_when_the_server_is_back(delivery, settings):
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "127.0.0.1", 1
    deliver_due(timezone.now())
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert deliver_due(timezone.now()) == 0
    assert deliver_due(timezone.now() + timedelta(seconds=31)) == 1
    assert len(mail.outbox) == 1


def test_after_a_week_it_is_given_up(down, db):
    with time_machine.travel(START, tick=False) as clock:
        delivery = enqueued()
        clock.shift(KEEP_TRYING)
        deliver_due(timezone.now())
        delivery.refresh_from_db()
        assert delivery.state == Delivery.State.GIVEN_UP
        clock.shift(timedelta(days=1))
        assert deliver_due(timezone.now()) == 0


def test_a_worker_that_dies_while_sending_gives_it_back(delivery, monkeypatch):
    def die(*args, **kwargs):
        raise SystemExit

    monkeypatch.setattr("audit.deliveries.send_mail", die)
    with pytest.raises(SystemExit):
        deliver_due(timezone.now())
    monkeypatch.undo()
    assert deliver_due(timezone.now()) == 0
    assert deliver_due(timezone.now() + LEASE + timedelta(seconds=1)) == 1


def test_what_another_worker_has_taken_is_left_alone(delivery, monkeypatch):
    """Both read the same row; the one that moves it first sends it."""
    from audit import deliveries

    def sent_by_the_other(*args, **kwargs) -> int:
        assert deliver_due(timezone.now()) == 0
        return 1

    monkeypatch.setattr(deliveries, "send_mail", sent_by_the_other)
    assert deliver_due(timezone.now()) == 1
    delivery.refresh_from_db()
    assert delivery.tries == 1


def test_one_that_fails_does_not_keep_the_others_waiting(db, monkeypatch):
    from audit import deliveries

    first, second = enqueued(), enqueued()
    real = deliveries.send_mail

    def fail_first(subject, body, sender, recipients):
        if not mail.outbox and not Delivery.objects.get(pk=first.pk).last_error:
            raise OSError
        return real(subject, body, sender, recipients)

    monkeypatch.setattr(deliveries, "send_mail", fail_first)
    assert deliver_due(timezone.now()) == 1
    second.refresh_from_db()
    assert second.state == Delivery.State.SENT
