"""Deliveries: messages that leave the portal because of an event, at least once.

``enqueue_mail`` writes one in the transaction of its event. A worker calls ``deliver_due`` again and
again; what fails is tried later, with growing pauses, for a week.
"""

import logging
import smtplib
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.core.mail import send_mail
from django.utils import timezone

from audit.late_parts import NoLongerWanted, put_in
from audit.models import Delivery, Event

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
LEASE = timedelta(minutes=2)  # longer than a mail server takes to answer
KEEP_TRYING = timedelta(days=7)
BATCH = 50
LONGEST_SUBJECT = 200

logger = logging.getLogger(__name__)


def enqueue_mail(
    *,
    event: Event,
    recipient: str,
    subject: str,
    body: str,
    late: tuple[str, int | None] = ("", None),
) -> Delivery:
    """Have a mail sent once the surrounding transaction has committed. The subject is one line.

    ``late`` names a part that is made while the mail is sent, and whom it is about (late_parts.py).
    """
    return Delivery.objects.create(
        event_id=event.pk,
        recipient=recipient,
        subject=" ".join(subject.split())[:LONGEST_SUBJECT],
        body=body,
        late_part=late[0],
        late_about=late[1],
    )


def deliver_due(now: datetime) -> int:
    """Send what is due and return how many were sent. Several workers may do so at once."""
    return sum(_deliver(delivery, now) for delivery in _taken(now))


def _taken(now: datetime) -> Iterator[Delivery]:
    """Yield due deliveries, each taken by moving its next try: a worker that dies gives it back."""
    for delivery in Delivery.objects.due(now)[:BATCH]:
        taken = Delivery.objects.waiting().filter(pk=delivery.pk, next_try_at=delivery.next_try_at)
        if taken.update(next_try_at=timezone.now() + LEASE, tries=delivery.tries + 1) == 1:
            delivery.tries += 1
            yield delivery


def _deliver(delivery: Delivery, now: datetime) -> bool:
    try:
        body = put_in(
            delivery.body,
            part=delivery.late_part,
            about=delivery.late_about,
            since=delivery.created_at,
        )
        send_mail(delivery.subject, body, None, [delivery.recipient])
    except NoLongerWanted:
        Delivery.objects.filter(pk=delivery.pk).update(
            state=Delivery.State.GIVEN_UP, last_error="It was no longer wanted."
        )
        return False
    except (OSError, ValueError, smtplib.SMTPException) as error:  # server, content, protocol
        _put_off(delivery, now, type(error).__name__)
        return False
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.SENT, sent_at=timezone.now(), last_error=""
    )
    return True


def _put_off(delivery: Delivery, now: datetime, error: str) -> None:
    logger.warning("Mail %s was not taken (%s), try %s.", delivery.pk, error, delivery.tries)
    pause = min(FIRST_PAUSE * 2 ** min(delivery.tries - 1, 10), LONGEST_PAUSE)
    late = now + pause > delivery.created_at + KEEP_TRYING
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.GIVEN_UP if late else Delivery.State.WAITING,
        next_try_at=now + pause,
        last_error=error,
    )
