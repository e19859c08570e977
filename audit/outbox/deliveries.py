"""Deliveries: messages that leave the portal because of an event, at least once.

A delivery is written in one transaction with what it tells of, or with the mark of how far the log
was read (apono_portal.notifications.fan_out). A worker calls ``deliver_due`` for each channel again and
again; what is not taken is tried later, with growing pauses, for a week. Nobody gets two for one
event: event, channel and recipient are unique.
"""

import logging
import smtplib
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone

from audit.models import Delivery, Event
from audit.outbox.deferred_parts import NoLongerWanted, render_deferred

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
LEASE = timedelta(minutes=2)  # longer than a mail server or a receiver takes to answer
KEEP_TRYING = timedelta(days=7)
BATCH = 50
AT_ONCE = 500  # of those that are written, so that few are held at once
BUDGET_S = 5.0  # of one call, so that a worker can stop although a server keeps it waiting
LONGEST_SUBJECT = 200
SECURITY = "security"
NO_LONGER_OF_USE = "It waited until it was of no more use."

logger = logging.getLogger(__name__)


class DeliveryFailed(Exception):
    """The other side did not take it. ``sentence`` is safe to show.

    ``is_final`` ends the attempts; ``endpoint_down`` says that nothing else would be taken there now.
    """

    def __init__(
        self, sentence: str, *, is_final: bool = False, endpoint_down: bool = False
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.is_final = is_final
        self.endpoint_down = endpoint_down


# Hands a delivery over, or raises `DeliveryFailed`.
Carrier = Callable[[Delivery], None]


def enqueue_mail(
    *,
    event: Event,
    recipient: str,
    subject: str,
    body: str,
    kind: str = SECURITY,
    late: tuple[str, int | None] = ("", None),
) -> None:
    """Have a mail sent once the surrounding transaction has committed. The subject is one line.

    ``late`` names a part that is made while the mail is sent, and whom it is about (late_parts.py).
    """
    mail = Delivery(
        event_id=event.pk,
        kind=kind,
        recipient=recipient,
        subject=on_one_line(subject),
        body=body,
        deferred_part=late[0],
        deferred_subject_id=late[1],
    )
    enqueue([mail])


def enqueue(deliveries: Iterable[Delivery]) -> int:
    """Write deliveries, leaving out those there are. Returns how many were asked for."""
    asked, waiting = 0, iter(deliveries)
    while some := list(islice(waiting, AT_ONCE)):
        asked += len(Delivery.objects.bulk_create(some, ignore_conflicts=True))
    return asked


def on_one_line(subject: str) -> str:
    return " ".join(subject.split())[:LONGEST_SUBJECT]


def carry_mail(delivery: Delivery) -> None:
    """Hand a mail to the mail server. Two attempts of one delivery have the same Message-ID."""
    if settings.EMAIL_BACKEND.endswith(".dummy.EmailBackend"):
        raise DeliveryFailed(
            "No mail server is set. Set EMAIL_URL, then send it again.", is_final=True
        )
    body = render_deferred(
        delivery.body,
        part=delivery.deferred_part,
        about=delivery.deferred_subject_id,
        since=delivery.created_at,
    )
    host = urlsplit(settings.PORTAL_URL).hostname
    headers = {"Message-ID": f"<delivery-{delivery.pk}@{host}>", "Auto-Submitted": "auto-generated"}
    mail = EmailMessage(delivery.subject, body, None, [delivery.recipient], headers=headers)
    try:
        mail.send()
    except (OSError, ValueError, smtplib.SMTPException) as error:  # server, content, protocol
        name = type(error).__name__
        raise DeliveryFailed(f"The mail server did not take it ({name}).") from None


def deliver_due(
    now: datetime, *, channel: str = Delivery.Channel.MAIL, carry: Carrier = carry_mail
) -> int:
    """Send what is due on a channel; return how many were. Several workers may do so at once.

    What is for a recipient that was just found down is given back: it would only wait for nothing.
    A call takes nothing more on once `BUDGET_S` are over.
    """
    down: set[str] = set()
    done, give_up_at = 0, time.monotonic() + BUDGET_S
    for delivery in _taken(now, channel):
        if delivery.recipient in down:
            _give_back(delivery, now)
            continue
        try:
            done += _deliver(delivery, now, carry)
        except NoLongerWanted:
            _close(delivery, Delivery.State.WITHDRAWN, "It was no longer wanted.")
        except DeliveryFailed as refused:
            _put_off(delivery, now, refused)
            if refused.endpoint_down:
                down.add(delivery.recipient)
        if time.monotonic() > give_up_at:
            break
    return done


def withdraw(*, event_ids: Collection[int], kinds: Collection[str], why: str) -> int:
    """Take back what has not been sent yet and need not be any more."""
    waiting = Delivery.objects.waiting().filter(event_id__in=event_ids, kind__in=kinds)
    return waiting.update(state=Delivery.State.WITHDRAWN, last_error=why)


def requeue(delivery: Delivery) -> None:
    """Have it sent once more, whatever became of it, with a week of attempts before it."""
    now = timezone.now()
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.WAITING,
        waiting_since=now,
        next_attempt_at=now,
        useful_until=None,
        last_error="",
    )


def _taken(now: datetime, channel: str) -> Iterator[Delivery]:
    """Yield due deliveries, each taken by moving its next try: a worker that dies gives it back."""
    for delivery in Delivery.objects.due(now).filter(channel=channel)[:BATCH]:
        taken = Delivery.objects.waiting().filter(
            pk=delivery.pk, next_attempt_at=delivery.next_attempt_at
        )
        if (
            taken.update(next_attempt_at=timezone.now() + LEASE, attempts=delivery.attempts + 1)
            == 1
        ):
            delivery.attempts += 1
            yield delivery


def _deliver(delivery: Delivery, now: datetime, carry: Carrier) -> bool:
    if delivery.useful_until is not None and delivery.useful_until <= now:
        _close(delivery, Delivery.State.WITHDRAWN, NO_LONGER_OF_USE)
        return False
    carry(delivery)
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.SENT, sent_at=timezone.now(), last_error=""
    )
    return True


def _give_back(delivery: Delivery, now: datetime) -> None:
    Delivery.objects.waiting().filter(pk=delivery.pk).update(
        next_attempt_at=now + FIRST_PAUSE, attempts=delivery.attempts - 1
    )


def _put_off(delivery: Delivery, now: datetime, refused: DeliveryFailed) -> None:
    logger.warning("Delivery %s, try %s: %s", delivery.pk, delivery.attempts, refused.sentence)
    pause = min(FIRST_PAUSE * 2 ** min(delivery.attempts - 1, 10), LONGEST_PAUSE)
    if refused.is_final or now + pause > delivery.waiting_since + KEEP_TRYING:
        _close(delivery, Delivery.State.GIVEN_UP, refused.sentence)
    else:
        Delivery.objects.waiting().filter(pk=delivery.pk).update(
            next_attempt_at=now + pause, last_error=refused.sentence[:200]
        )


def _close(delivery: Delivery, state: str, why: str) -> None:
    Delivery.objects.waiting().filter(pk=delivery.pk).update(state=state, last_error=why[:200])
