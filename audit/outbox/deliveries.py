"""Deliveries: messages about events, sent at least once.

A delivery is written in one transaction with its event, or with the position up to which the log was
read (apono_portal.notifications.fan_out). A worker calls `deliver_due` for each channel. Failed
deliveries are retried with growing delays for a week. Event, channel and recipient are unique, so
nobody gets two for one event.
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
from audit.outbox.deferred_parts import NoLongerValid, render_deferred

MIN_RETRY_DELAY = timedelta(seconds=30)
MAX_RETRY_DELAY = timedelta(hours=1)
RETRY_PERIOD = timedelta(days=7)
LEASE = timedelta(minutes=2)  # longer than a mail server or webhook takes to answer
SEND_BATCH_SIZE = 50
WRITE_BATCH_SIZE = 500
BUDGET_SECONDS = 5.0  # per call, so that a worker can stop although a server is slow
MAX_SUBJECT_LENGTH = 200
SECURITY = "security"

logger = logging.getLogger(__name__)


class DeliveryFailed(Exception):
    """The receiver did not accept the delivery. ``sentence`` is safe to show.

    ``is_final`` ends the attempts; ``endpoint_down`` means that the receiver accepts nothing now.
    """

    def __init__(
        self, sentence: str, *, is_final: bool = False, endpoint_down: bool = False
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.is_final = is_final
        self.endpoint_down = endpoint_down


# Sends a delivery, or raises `DeliveryFailed`.
Sender = Callable[[Delivery], None]


def enqueue_email(
    *,
    event: Event,
    recipient: str,
    subject: str,
    body: str,
    kind: str = SECURITY,
    deferred: tuple[str, int | None] = ("", None),
) -> None:
    """Send an email once the surrounding transaction has committed.

    ``deferred`` names a part that is rendered while the email is sent, and the id of its subject
    (deferred_parts.py).
    """
    email = Delivery(
        event_id=event.pk,
        kind=kind,
        recipient=recipient,
        subject=on_one_line(subject),
        body=body,
        deferred_part=deferred[0],
        deferred_subject_id=deferred[1],
    )
    enqueue([email])


def enqueue(deliveries: Iterable[Delivery]) -> int:
    """Write deliveries, skipping those that exist; return how many were passed."""
    count, rest = 0, iter(deliveries)
    while batch := list(islice(rest, WRITE_BATCH_SIZE)):
        count += len(Delivery.objects.bulk_create(batch, ignore_conflicts=True))
    return count


def on_one_line(subject: str) -> str:
    return " ".join(subject.split())[:MAX_SUBJECT_LENGTH]


def is_email_configured() -> bool:
    """Return whether there is a mail server. Without one, emails are withdrawn, not failed."""
    return not settings.EMAIL_BACKEND.endswith(".dummy.EmailBackend")


def send_email(delivery: Delivery) -> None:
    """Send an email. All attempts of a delivery have the same Message-ID."""
    body = render_deferred(
        delivery.body,
        part=delivery.deferred_part,
        subject_id=delivery.deferred_subject_id,
        since=delivery.created_at,
    )
    host = urlsplit(settings.PORTAL_URL).hostname
    headers = {"Message-ID": f"<delivery-{delivery.pk}@{host}>", "Auto-Submitted": "auto-generated"}
    email = EmailMessage(delivery.subject, body, None, [delivery.recipient], headers=headers)
    try:
        email.send()
    except (OSError, ValueError, smtplib.SMTPException) as error:  # server, content, protocol
        name = type(error).__name__
        raise DeliveryFailed(f"The mail server did not accept it ({name}).") from None


def deliver_due(
    now: datetime, *, channel: str = Delivery.Channel.EMAIL, send: Sender = send_email
) -> int:
    """Send what is due on a channel; return how many were sent. Workers may run it concurrently.

    Once a recipient's endpoint is down, its other deliveries are put back for later. A call stops
    claiming deliveries after `BUDGET_SECONDS`.
    """
    down: set[str] = set()
    sent, stop_at = 0, time.monotonic() + BUDGET_SECONDS
    for delivery in _claim_due(now, channel):
        if delivery.recipient in down:
            _put_back(delivery, now)
            continue
        try:
            sent += _deliver(delivery, now, send)
        except NoLongerValid:
            _close(delivery, Delivery.State.WITHDRAWN, "Its link is no longer valid.")
        except DeliveryFailed as failure:
            _retry_later(delivery, now, failure)
            if failure.endpoint_down:
                down.add(delivery.recipient)
        if time.monotonic() > stop_at:
            break
    return sent


def withdraw(*, event_ids: Collection[int], kinds: Collection[str], why: str) -> int:
    """Withdraw deliveries that were not sent yet and are no longer needed."""
    waiting = Delivery.objects.waiting().filter(event_id__in=event_ids, kind__in=kinds)
    return waiting.update(state=Delivery.State.WITHDRAWN, last_error=why)


def requeue(delivery: Delivery) -> None:
    """Send a delivery again, whatever its state, with a new week of attempts."""
    now = timezone.now()
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.WAITING,
        waiting_since=now,
        next_attempt_at=now,
        useful_until=None,
        last_error="",
    )


def _claim_due(now: datetime, channel: str) -> Iterator[Delivery]:
    """Yield due deliveries, each claimed by moving its next attempt; after `LEASE` it is due again."""
    for delivery in Delivery.objects.due(now).filter(channel=channel)[:SEND_BATCH_SIZE]:
        unclaimed = Delivery.objects.waiting().filter(
            pk=delivery.pk, next_attempt_at=delivery.next_attempt_at
        )
        attempts = delivery.attempts + 1
        if unclaimed.update(next_attempt_at=timezone.now() + LEASE, attempts=attempts):
            delivery.attempts = attempts
            yield delivery


def _deliver(delivery: Delivery, now: datetime, send: Sender) -> bool:
    if delivery.useful_until is not None and delivery.useful_until <= now:
        _close(delivery, Delivery.State.WITHDRAWN, "It is no longer relevant.")
        return False
    if delivery.channel == Delivery.Channel.EMAIL and not is_email_configured():
        _close(delivery, Delivery.State.WITHDRAWN, "Email is not configured.")
        return False
    send(delivery)
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.SENT, sent_at=timezone.now(), last_error=""
    )
    return True


def _put_back(delivery: Delivery, now: datetime) -> None:
    Delivery.objects.waiting().filter(pk=delivery.pk).update(
        next_attempt_at=now + MIN_RETRY_DELAY, attempts=delivery.attempts - 1
    )


def _retry_later(delivery: Delivery, now: datetime, failure: DeliveryFailed) -> None:
    logger.warning("Delivery %s, attempt %s: %s", delivery.pk, delivery.attempts, failure.sentence)
    delay = min(MIN_RETRY_DELAY * 2 ** min(delivery.attempts - 1, 10), MAX_RETRY_DELAY)
    if failure.is_final or now + delay > delivery.waiting_since + RETRY_PERIOD:
        _close(delivery, Delivery.State.FAILED, failure.sentence)
    else:
        Delivery.objects.waiting().filter(pk=delivery.pk).update(
            next_attempt_at=now + delay, last_error=failure.sentence[:200]
        )


def _close(delivery: Delivery, state: str, why: str) -> None:
    Delivery.objects.waiting().filter(pk=delivery.pk).update(state=state, last_error=why[:200])
