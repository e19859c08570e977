"""Fan-out: a worker reads the audit log and writes a delivery for every recipient.

The log is read in the order of its chain (audit/integrity/checkpoints.py). Ids of events do not follow
the order of commits, but positions in the chain do and have no gaps, so no event is missed. Deliveries
and read position are written in one transaction: a worker that dies in between has done neither.
"""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Prefetch, QuerySet
from django.template.loader import render_to_string

from apono_portal.core.web.absolute_urls import absolute_url
from apono_portal.notifications.messages import Message, message_for
from apono_portal.notifications.models import ReadPosition, Webhook
from apono_portal.notifications.notification import (
    NOTIFYING,
    Notification,
    merge,
    notification_for,
)
from apono_portal.notifications.payloads import body_for
from apono_portal.notifications.recipients import (
    DECISION_KINDS,
    Audience,
    audience_of,
    decision_event_ids,
    ends_approval,
)
from apono_portal.users.models import User
from audit.models import ChainEntry, Delivery, Event
from audit.outbox.deliveries import enqueue, on_one_line, withdraw
from requests_app.models import AccessRequest, Decision

BATCH_SIZE = 200  # events, to hold few requests in memory
MAX_RECIPIENTS = 2000  # per transaction, unless a single event has more
BUDGET_SECONDS = 5.0  # per call, so that a worker can stop


def fan_out(now: datetime) -> int:
    """Write deliveries for the events chained since the last call. Returns how many."""
    count, give_up_at = 0, time.monotonic() + BUDGET_SECONDS
    while time.monotonic() < give_up_at and _unread(_read_position()).exists():
        written = _read_batch()
        if written is None:
            break
        count += written
    return count


def _read_position() -> int:
    rows = ReadPosition.objects.filter(pk=ReadPosition.ONLY)
    return rows.values_list("position", flat=True).first() or 0


def _unread(position: int) -> QuerySet[ChainEntry]:
    return ChainEntry.objects.filter(position__gt=position).order_by("position")


def _read_batch() -> int | None:
    """Read one batch of events. Returns None while another worker reads."""
    ReadPosition.objects.bulk_create([ReadPosition(pk=ReadPosition.ONLY)], ignore_conflicts=True)
    with transaction.atomic():
        rows = ReadPosition.objects.filter(pk=ReadPosition.ONLY)
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        read = rows.first()
        if read is None:
            return None
        entries = list(_unread(read.position)[:BATCH_SIZE])
        if not entries:
            return 0
        audiences, read.position = _audiences(entries)
        written = _write(audiences)
        read.save()
    return written


def _audiences(entries: list[ChainEntry]) -> tuple[list[tuple[Notification, Audience]], int]:
    """Return notifications with their recipients, and the position of the last event read.

    Stops at `MAX_RECIPIENTS`, which keeps the transaction short however many approvers there are.
    """
    notifications = _notifications_by_event([entry.event_id for entry in entries])
    audiences: list[tuple[Notification, Audience]] = []
    recipients = 0
    for entry in entries:
        if notification := notifications.get(entry.event_id):
            audience = audience_of(notification)
            audiences.append((notification, audience))
            recipients += len(audience)
        if recipients >= MAX_RECIPIENTS:
            return audiences, entry.position
    return audiences, entries[-1].position


def _notifications_by_event(event_ids: list[int]) -> dict[int, Notification]:
    events = Event.objects.filter(pk__in=event_ids, event__in=NOTIFYING).order_by("pk")
    requests = _requests_of(events)
    notifications = (
        notification_for(event, requests.get(event.request_id or 0)) for event in events
    )
    return {item.event.pk: item for item in notifications if item}


def _requests_of(events: Iterable[Event]) -> dict[int, AccessRequest]:
    """Return the requests of events. Prefetching keeps one copy of each flow and user."""
    decisions = Prefetch("decisions", Decision.objects.order_by("at", "pk"))
    requests = AccessRequest.objects.prefetch_related("flow", "requester", "targets", decisions)
    return requests.in_bulk({event.request_id for event in events if event.request_id})


def _write(audiences: list[tuple[Notification, Audience]]) -> int:
    audience_by_event = {item.event.pk: audience for item, audience in audiences}
    webhooks = list(Webhook.objects.filter(is_active=True))
    written = 0
    for notification in merge(sorted((item for item, _ in audiences), key=lambda it: it.event.pk)):
        if ends_approval(notification):
            _withdraw_decision_emails(notification.subject_request)
        emails = _emails(notification, audience_by_event[notification.event.pk])
        written += enqueue(chain(emails, _webhook_deliveries(notification, webhooks)))
    return written


def _withdraw_decision_emails(request: AccessRequest) -> None:
    withdraw(
        event_ids=decision_event_ids(request),
        kinds=DECISION_KINDS,
        why="The request was decided or cancelled before this was sent.",
    )


def _emails(notification: Notification, audience: Audience) -> Iterator[Delivery]:
    """Yield an email for each recipient. The part all share is rendered once per kind."""
    messages = {kind: message_for(notification, kind) for kind in set(audience.values())}
    bodies = {kind: _email_body(message) for kind, message in messages.items()}
    users = User.objects.active().filter(pk__in=audience).order_by("pk")
    for user in users.iterator(chunk_size=BATCH_SIZE):
        kind = audience[user.pk]
        yield Delivery(
            event_id=notification.event.pk,
            kind=kind,
            recipient=user.email,
            subject=on_one_line(f"{settings.PORTAL_NAME}: {messages[kind].subject}"),
            body=f"Hello {user.name},\n\n{bodies[kind]}",
            useful_until=notification.useful_until,
        )


def _email_body(message: Message) -> str:
    """Return what follows the greeting."""
    return render_to_string(
        "notifications/email/notification.txt",
        {
            "subject": message.subject,
            "paragraphs": [paragraph for paragraph in message.paragraphs if paragraph],
            "url": message.url,
            "choose_url": absolute_url("notifications:choose"),
            "portal_name": settings.PORTAL_NAME,
        },
    )


def _webhook_deliveries(notification: Notification, webhooks: list[Webhook]) -> Iterator[Delivery]:
    for webhook in webhooks:
        if notification.kind.value in webhook.kinds:
            yield build_webhook_delivery(webhook, notification)


def build_webhook_delivery(webhook: Webhook, notification: Notification) -> Delivery:
    """Return the unsaved delivery of a notification to a webhook."""
    message = message_for(notification, notification.kind)
    return Delivery(
        event_id=notification.event.pk,
        channel=Delivery.Channel.WEBHOOK,
        kind=notification.kind,
        recipient=str(webhook.pk),
        recipient_label=webhook.name,
        subject=on_one_line(message.subject),
        body=body_for(webhook, notification, message),
        useful_until=notification.useful_until,
    )
