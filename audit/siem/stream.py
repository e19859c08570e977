"""The stream: every event once at least, in the order of the chain, to each SIEM at its own pace.

A cursor moves after a batch was accepted. If the answer is lost, the batch is sent again: ``metadata.uid``
and ``metadata.sequence`` tell a receiver what it has. Positions have no gaps, so a receiver sees what is missing.
"""

import time
from datetime import datetime, timedelta

import structlog
from django.utils import timezone

from audit.integrity.chain import chain_end
from audit.integrity.records import event_record
from audit.models import ChainEntry, Event, StreamDestination
from audit.outbox.deliveries import LEASE, MAX_RETRY_DELAY, MIN_RETRY_DELAY, DeliveryFailed
from audit.siem.destinations import Batch, Siem, siems
from audit.siem.ocsf import ocsf_event
from audit.verify_export.formats import FIELDS, Record

BATCH_SIZE = 100
BUDGET_SECONDS = 5.0  # per call and SIEM, so that a worker can stop
log = structlog.get_logger(__name__)


def stream_events(now: datetime) -> int:
    """Send each SIEM what it has not accepted yet; return how many events. Workers may run it at once."""
    return sum(_stream_to(siem, now) for siem in siems())


def _stream_to(siem: Siem, now: datetime) -> int:
    row = _claim(siem, now)
    if row is None:
        return 0
    rows, give_up_at = (
        StreamDestination.objects.filter(name=row.name),
        time.monotonic() + BUDGET_SECONDS,
    )
    position, sent = row.position, 0
    try:
        while (entries := _entries_after(position)) and time.monotonic() < give_up_at:
            if batch := _batch(entries):
                siem.send(batch)
            position, sent = entries[-1].position, sent + len(batch)
            rows.update(position=position, sent_at=timezone.now(), attempts=0, last_error="")
    except DeliveryFailed as failure:
        log.warning("siem_not_reached", destination=row.name, reason=failure.sentence)
        attempts = 1 if sent else row.attempts + 1
        delay = min(MIN_RETRY_DELAY * 2 ** min(attempts - 1, 10), MAX_RETRY_DELAY)
        rows.update(
            attempts=attempts, last_error=failure.sentence[:200], next_attempt_at=now + delay
        )
        return sent
    rows.update(next_attempt_at=now)
    return sent


def _claim(siem: Siem, now: datetime) -> StreamDestination | None:
    """Claim a SIEM that lacks events, by moving its next attempt. A new one starts with the next event."""
    end = chain_end().position
    row, _ = StreamDestination.objects.get_or_create(
        name=siem.name, defaults={"position": end, "next_attempt_at": now}
    )
    waits = timedelta(0) < row.next_attempt_at - now <= MAX_RETRY_DELAY
    if waits or row.position >= end:
        return None
    unclaimed = StreamDestination.objects.filter(
        name=row.name, position=row.position, next_attempt_at=row.next_attempt_at
    )
    return row if unclaimed.update(next_attempt_at=timezone.now() + LEASE) else None


def _entries_after(position: int) -> list[ChainEntry]:
    entries = ChainEntry.objects.filter(position__gt=position).order_by("position")
    return list(entries[:BATCH_SIZE])


def _batch(entries: list[ChainEntry]) -> Batch:
    """Return the events of chain entries. One that somebody deleted is missing, and its position with it."""
    events = Event.objects.in_bulk([entry.event_id for entry in entries])
    return [
        ocsf_event(event, _record(event), entry)
        for entry in entries
        if (event := events.get(entry.event_id))
    ]


def _record(event: Event) -> Record:
    return event_record({name: getattr(event, name) for name in FIELDS["event"]})
