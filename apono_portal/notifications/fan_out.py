"""From the record to deliveries: a worker reads the audit log on and writes whom to tell.

The log is read in the order of its seal chain (audit/integrity/checkpoints.py). Events are not numbered in the order
in which they are committed, but every one gets a place without gaps, so a mark on the chain misses
none. Deliveries and mark are written in one transaction: a worker that dies between has done neither.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Prefetch, QuerySet
from django.template.loader import render_to_string

from apono_portal.core.web.absolute_urls import absolute_url
from apono_portal.notifications.kinds import Kind
from apono_portal.notifications.messages import Words, words_for
from apono_portal.notifications.models import ReadPosition, Webhook
from apono_portal.notifications.notification import TELLING, Notification, bundled, news_of
from apono_portal.notifications.payloads import body_for
from apono_portal.notifications.recipients import (
    ASKING,
    asked_by_mail,
    is_settled_by,
    people_told_of,
)
from apono_portal.users.models import User
from audit.models import ChainEntry, Delivery, Event
from audit.outbox.deliveries import enqueue, on_one_line, withdraw
from requests_app.models import AccessRequest, Decision

BATCH = 200  # of events, so that few requests are held at once
MOST_PEOPLE = 2000  # who are told at once, but for one event that alone is for more
BUDGET_S = 5.0  # of one call, so that a worker can stop

Told = tuple[Notification, dict[int, Kind]]


def fan_out(now: datetime) -> int:
    """Make deliveries of what was sealed since the last look. Returns how many."""
    made, give_up_at = 0, time.monotonic() + BUDGET_S
    while time.monotonic() < give_up_at and _unread(_mark()).exists():
        news = _read_on()
        if news is None:
            break
        made += news
    return made


def _mark() -> int:
    return (
        ReadPosition.objects.filter(pk=ReadPosition.ONLY).values_list("position", flat=True).first()
        or 0
    )


def _unread(position: int) -> QuerySet[ChainEntry]:
    return ChainEntry.objects.filter(position__gt=position).order_by("position")


def _read_on() -> int | None:
    """Read one batch. One worker does at a time; another one finds the row locked and gets None."""
    ReadPosition.objects.bulk_create([ReadPosition(pk=ReadPosition.ONLY)], ignore_conflicts=True)
    with transaction.atomic():
        marks = ReadPosition.objects.filter(pk=ReadPosition.ONLY)
        if connection.features.has_select_for_update_skip_locked:
            marks = marks.select_for_update(skip_locked=True)
        mark = marks.first()
        if mark is None:
            return None
        places = list(_unread(mark.position)[:BATCH])
        if not places:
            return 0
        told, mark.position = _first_piece(places)
        made = _tell(told)
        mark.save()
    return made


def _first_piece(places: list[ChainEntry]) -> tuple[list[Told], int]:
    """What is told of as many events as are for few people, one at least; and the last one's place.

    So what is written at once stays short, whatever number of approvers every request has.
    """
    news = _news_of([place.event_id for place in places])
    told: list[Told] = []
    people = 0
    for place in places:
        if each := news.get(place.event_id):
            told.append((each, people_told_of(each)))
            people += len(told[-1][1])
        if people >= MOST_PEOPLE:
            return told, place.position
    return told, places[-1].position


def _news_of(event_ids: list[int]) -> dict[int, Notification]:
    events = Event.objects.filter(pk__in=event_ids, event__in=TELLING).order_by("pk")
    requests = _requests_of(events)
    news = [news_of(event, requests.get(event.request_id or 0)) for event in events]
    return {each.event.pk: each for each in news if each}


def _tell(told: list[Told]) -> int:
    people = {news.event.pk: who for news, who in told}
    webhooks = list(Webhook.objects.filter(is_active=True))
    made = 0
    for each in bundled(sorted((news for news, _ in told), key=lambda news: news.event.pk)):
        if is_settled_by(each):
            _withdraw_questions(each)
        made += enqueue(chain(_mails(each, people[each.event.pk]), _posts(each, webhooks)))
    return made


def _requests_of(events: Iterable[Event]) -> dict[int, AccessRequest]:
    wanted = {event.request_id for event in events if event.request_id}
    found = AccessRequest.objects.filter(pk__in=wanted)
    decisions = Prefetch("decisions", Decision.objects.order_by("at", "pk"))
    # Many are of the same few flows and people, which are held once.
    found = found.prefetch_related("flow", "requester", "targets", decisions)
    return {each.pk: each for each in found}


def _withdraw_questions(news: Notification) -> None:
    withdraw(
        event_ids=asked_by_mail(news.subject_request),
        kinds=ASKING,
        why="It was decided or withdrawn before this was sent.",
    )


def _mails(news: Notification, told: Mapping[int, Kind]) -> Iterator[Delivery]:
    """There may be thousands of people, so what all of them are told is written once."""
    words = {kind: words_for(news, kind) for kind in set(told.values())}
    bodies = {kind: _body(each) for kind, each in words.items()}
    people = User.objects.active().filter(pk__in=told).order_by("pk")
    for user in people.iterator(chunk_size=BATCH):
        kind = told[user.pk]
        yield Delivery(
            event_id=news.event.pk,
            kind=kind,
            recipient=user.email,
            subject=on_one_line(f"{settings.PORTAL_NAME}: {words[kind].subject}"),
            body=f"Hello {user.name},\n\n{bodies[kind]}",
            useful_until=news.useful_until,
        )


def _body(words: Words) -> str:
    """What follows the greeting."""
    return render_to_string(
        "notifications/email/notification.txt",
        {
            "subject": words.subject,
            "paragraphs": [each for each in words.paragraphs if each],
            "url": words.url,
            "choose_url": absolute_url("notifications:choose"),
            "portal_name": settings.PORTAL_NAME,
        },
    )


def _posts(news: Notification, webhooks: list[Webhook]) -> Iterator[Delivery]:
    for webhook in webhooks:
        if news.kind.value in webhook.kinds:
            yield post_for(webhook, news)


def post_for(webhook: Webhook, news: Notification) -> Delivery:
    """Return the unsaved delivery that tells a webhook of news."""
    words = words_for(news, news.kind)
    return Delivery(
        event_id=news.event.pk,
        channel=Delivery.Channel.WEBHOOK,
        kind=news.kind,
        recipient=str(webhook.pk),
        recipient_label=webhook.name,
        subject=on_one_line(words.subject),
        body=body_for(webhook, news, words),
        useful_until=news.useful_until,
    )
