"""The stream: every event once at least, in the order of the chain, to each SIEM at its own pace.

A cursor moves after a batch was accepted. If the answer is lost, the batch is sent again: ``metadata.uid``
and ``metadata.sequence`` tell a receiver what it has. Positions have no gaps, so a receiver sees what is missing.
"""

from datetime import datetime

from audit.integrity.chain import chain_end
from audit.integrity.records import event_record
from audit.models import ChainEntry, Event, StreamDestination
from audit.outbox.cursors import claim, progress_of
from audit.siem.destinations import Batch, Siem, siems
from audit.siem.ocsf import ocsf_event
from audit.verify_export.formats import FIELDS, Record

BATCH_SIZE = 100


def stream_events(now: datetime) -> int:
    """Send each SIEM what it has not accepted yet; return how many events. Workers may run it at once."""
    return sum(_stream_to(siem, now) for siem in siems())


def _stream_to(siem: Siem, now: datetime) -> int:
    """Send a SIEM the events after its cursor. A new SIEM starts with the next event."""
    end = chain_end().position
    cursor = claim(StreamDestination, siem.name, start=end, end=end, now=now)
    if cursor is None:
        return 0
    with progress_of(cursor, now) as progress:
        while progress.has_time and (entries := _entries_after(progress.position)):
            if batch := _batch(entries):
                siem.send(batch)
            progress.accept(entries[-1].position, len(batch))
    return progress.sent


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
