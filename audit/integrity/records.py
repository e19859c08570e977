"""The log as records: the form in which it is hashed, exported and verified (audit/verify_export)."""

from collections.abc import Iterator

from django.db.models import Exists, OuterRef, QuerySet

from apono_portal.core.formatting.datetimes import utc_timestamp
from audit.models import ChainEntry, Checkpoint, Event, RetentionStub, SignedCheckpoint
from audit.verify_export.formats import FIELDS, FORMAT, Record

CHUNK_SIZE = 1000


def event_record(values: Record) -> Record:
    """Return an event, read with ``values(*FIELDS["event"])``, as it is hashed."""
    return {**values, "at": utc_timestamp(values["at"])}


def checkpoint_record(checkpoint: Checkpoint) -> Record:
    fields = {name: getattr(checkpoint, name) for name in FIELDS["checkpoint"]}
    return {**fields, "created_at": utc_timestamp(checkpoint.created_at)}


def stub_record(stub: RetentionStub) -> Record:
    fields = {name: getattr(stub, name) for name in FIELDS["stub"]}
    times = {name: utc_timestamp(fields[name]) for name in ("first_at", "last_at", "removed_at")}
    return {**fields, **times}


def latest_checkpoint() -> Checkpoint | None:
    return Checkpoint.objects.order_by("-number").first()


def latest_stub() -> RetentionStub | None:
    return RetentionStub.objects.order_by("-through_position").first()


def unchained_events() -> QuerySet[Event]:
    entry = ChainEntry.objects.filter(event_id=OuterRef("pk"))
    return Event.objects.filter(~Exists(entry)).order_by("pk")


def log_records(**header: str) -> Iterator[Record]:
    """Yield the whole log with its first and last record, as an export without filters holds it."""
    events = 0
    yield {"kind": "export", "format": FORMAT, "whole": True, **header}
    for record in _chain_records():
        events += record["kind"] == "event"
        yield record
    yield {"kind": "end", "events": events}


def _chain_records() -> Iterator[Record]:
    """Yield the stubs, the chained events with the checkpoints that cover them, then new events.

    A chunk at a time is in memory. A missing event is yielded as missing, so that an export of a log
    that was tampered with shows it.
    """
    last, stub = latest_checkpoint(), latest_stub()
    for earlier in RetentionStub.objects.order_by("through_position"):
        yield {"kind": "stub", **stub_record(earlier), "hash": earlier.hash, "note": earlier.note}
    entries = _entry_records(
        stub.through_position if stub else 0, last.last_position if last else 0
    )
    entry = next(entries, None)
    signed = _signed_checkpoints(last.last_position if last else 0)
    note = next(signed, None)
    for checkpoint in _checkpoints(stub.through_checkpoint if stub else 0, last):
        while entry and entry["position"] <= checkpoint.last_position:
            yield entry
            entry = next(entries, None)
        fields = checkpoint_record(checkpoint)
        yield {"kind": "checkpoint", **fields, "hash": checkpoint.hash, "mac": checkpoint.mac}
        while note and note.size <= checkpoint.last_position:
            yield {"kind": "signed_checkpoint", "note": note.note}
            note = next(signed, None)
    yield from _uncovered_records(last)
    yield from _unchained_records()


def _entry_records(after: int, until: int) -> Iterator[Record]:
    entries = ChainEntry.objects.filter(position__lte=until).order_by("position")
    while chunk := list(entries.filter(position__gt=after)[:CHUNK_SIZE]):
        yield from _with_events(chunk)
        after = chunk[-1].position


def _with_events(entries: list[ChainEntry]) -> Iterator[Record]:
    """Yield each entry with its event, or as missing."""
    ids = [entry.event_id for entry in entries]
    rows = Event.objects.filter(pk__in=ids).order_by().values(*FIELDS["event"])
    events = {values["id"]: values for values in rows}
    for entry in entries:
        if values := events.get(entry.event_id):
            yield {"kind": "event", **entry_fields(entry), **event_record(values)}
        else:
            yield {"kind": "missing", **entry_fields(entry), "event_id": entry.event_id}


def entry_fields(entry: ChainEntry) -> Record:
    return {"position": entry.position, "digest": entry.digest, "chain_hash": entry.chain_hash}


def _checkpoints(after: int, last: Checkpoint | None) -> Iterator[Checkpoint]:
    checkpoints = Checkpoint.objects.filter(number__lte=last.number if last else 0)
    checkpoints = checkpoints.order_by("number")
    while chunk := list(checkpoints.filter(number__gt=after)[:CHUNK_SIZE]):
        yield from chunk
        after = chunk[-1].number


def _signed_checkpoints(until: int) -> Iterator[SignedCheckpoint]:
    checkpoints, after = SignedCheckpoint.objects.filter(size__lte=until).order_by("size"), 0
    while chunk := list(checkpoints.filter(size__gt=after)[:CHUNK_SIZE]):
        yield from chunk
        after = chunk[-1].size


def _uncovered_records(last: Checkpoint | None) -> Iterator[Record]:
    """Yield entries beyond the last checkpoint, unless a newer one covers them by now."""
    covering = Checkpoint.objects.filter(last_position__gte=OuterRef("position"))
    entries = ChainEntry.objects.filter(
        ~Exists(covering), position__gt=last.last_position if last else 0
    )
    yield from _with_events(list(entries.order_by("position")[:CHUNK_SIZE]))


def _unchained_records() -> Iterator[Record]:
    rest = rows = unchained_events().values(*FIELDS["event"])
    while chunk := list(rest[:CHUNK_SIZE]):
        for values in chunk:
            yield {"kind": "event", "position": None, **event_record(values)}
        rest = rows.filter(pk__gt=chunk[-1]["id"])
