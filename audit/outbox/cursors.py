"""Sending to destinations outside the machine in order and at least once, whichever worker does it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from django.utils import timezone

from audit.models.cursors import Cursor
from audit.outbox.deliveries import LEASE, MAX_RETRY_DELAY, MIN_RETRY_DELAY, DeliveryFailed

BUDGET_SECONDS = 5.0  # per call and destination, so that a worker can stop
C = TypeVar("C", bound=Cursor)
log = structlog.get_logger(__name__)


def claim(model: type[C], name: str, *, start: int, end: int, now: datetime) -> C | None:
    """Claim a destination that has not got everything up to ``end``, by moving its next attempt.

    A new one starts after ``start``.
    """
    cursor, _ = model._default_manager.get_or_create(
        name=name, defaults={"position": start, "next_attempt_at": now}
    )
    waits = timedelta(0) < cursor.next_attempt_at - now <= MAX_RETRY_DELAY
    if waits or cursor.position >= end:
        return None
    unclaimed = model._default_manager.filter(
        name=name, position=cursor.position, next_attempt_at=cursor.next_attempt_at
    )
    return cursor if unclaimed.update(next_attempt_at=timezone.now() + LEASE) else None


class Progress:
    """What a claimed destination has accepted so far."""

    def __init__(self, cursor: Cursor) -> None:
        self.rows = type(cursor)._default_manager.filter(name=cursor.name)
        self.position = cursor.position
        self.sent = 0
        self._give_up_at = time.monotonic() + BUDGET_SECONDS

    @property
    def has_time(self) -> bool:
        return time.monotonic() < self._give_up_at

    def accept(self, position: int, number: int) -> None:
        """Record that everything up to ``position`` was accepted, ``number`` of it just now."""
        self.position, self.sent = position, self.sent + number
        self.rows.update(position=position, sent_at=timezone.now(), attempts=0, last_error="")


@contextmanager
def progress_of(cursor: Cursor, now: datetime) -> Iterator[Progress]:
    """Send within this: a `DeliveryFailed` is recorded, and the next attempt scheduled."""
    progress = Progress(cursor)
    try:
        yield progress
    except DeliveryFailed as failure:
        log.warning("destination_not_reached", destination=cursor.name, reason=failure.sentence)
        attempts = 1 if progress.sent else cursor.attempts + 1
        delay = min(MIN_RETRY_DELAY * 2 ** min(attempts - 1, 10), MAX_RETRY_DELAY)
        progress.rows.update(
            attempts=attempts, last_error=failure.sentence[:200], next_attempt_at=now + delay
        )
    else:
        progress.rows.update(next_attempt_at=now)
