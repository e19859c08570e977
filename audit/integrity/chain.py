"""The seal chain as records, the way an export holds them (audit/verify_export.py)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db import models
from django.db.models import Exists, OuterRef

from audit.models import ChainEntry, ChainState, Checkpoint, Event, RetentionStub
from audit.verify_export import FIELDS, Record

CHUNK = 1000
Row = TypeVar("Row", bound=models.Model)


def instant(at: datetime) -> str:
    """Return an instant as records write it: UTC, to the microsecond, always the same length."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def event_record(values: dict[str, Any]) -> Record:
    """Return an event, read with ``values(*FIELDS["event"])``, as it is hashed."""
    return {**values, "at": instant(values["at"])}


def seal_record(seal: Checkpoint) -> Record:
    fields = {name: getattr(seal, name) for name in FIELDS["seal"]}
    return {**fields, "sealed_at": instant(seal.sealed_at)}


def stub_record(stub: RetentionStub) -> Record:
    fields = {name: getattr(stub, name) for name in FIELDS["stub"]}
    times = {name: instant(fields[name]) for name in ("first_at", "last_at", "removed_at")}
    return {**fields, **times}


def latest_stub() -> RetentionStub | None:
    return RetentionStub.objects.order_by("-through_position").first()


def latest_seal() -> Checkpoint | None:
    return Checkpoint.objects.order_by("-number").first()


def chain_state() -> ChainState:
    return ChainState.objects.filter(pk=ChainState.ONLY).first() or ChainState()


def unsealed() -> models.QuerySet[Event]:
    place = ChainEntry.objects.filter(event_id=OuterRef("pk"))
    return Event.objects.filter(~Exists(place)).order_by("pk")


def chain_records() -> Iterator[Record]:
    """Yield the whole log: stub, sealed events with the seals that close them, unsealed events.

    A chunk at a time is in memory. What is missing is yielded as missing: an export of a log that was
    tampered with must tell of it.
    """
    head, stub = latest_seal(), latest_stub()
    if stub:
        yield {"kind": "stub", **stub_record(stub), "hash": stub.hash, "mac": stub.mac}
    after = stub.through_position if stub else 0
    places = _places(after, head.last_position if head else 0)
    waiting = next(places, None)
    for seal in _seals(stub.through_seal if stub else 0, head.number if head else 0):
        while waiting and waiting["position"] <= seal.last_position:
            yield waiting
            waiting = next(places, None)
        yield {"kind": "seal", **seal_record(seal), "hash": seal.hash, "mac": seal.mac}
    yield from _uncovered(head)
    for values in _in_chunks(unsealed().values(*FIELDS["event"]), "id"):
        yield {"kind": "event", "position": None, **event_record(values)}


def _places(after: int, until: int) -> Iterator[Record]:
    """Yield sealed events by position."""
    while chunk := _chunk_of_places(after, until):
        yield from with_events(chunk)
        after = chunk[-1].position


def _chunk_of_places(after: int, until: int) -> list[ChainEntry]:
    found = ChainEntry.objects.filter(position__gt=after, position__lte=until)
    return list(found.order_by("position")[:CHUNK])


def with_events(places: list[ChainEntry]) -> Iterator[Record]:
    """Yield each place with the event that stands there, or as missing."""
    numbers = [place.event_id for place in places]
    rows = Event.objects.filter(pk__in=numbers).order_by().values(*FIELDS["event"])
    events = {values["id"]: values for values in rows}
    for place in places:
        marks = {"position": place.position, "digest": place.digest, "link": place.link}
        if values := events.get(place.event_id):
            yield {"kind": "event", **marks, **event_record(values)}
        else:
            yield {"kind": "missing", **marks, "event_id": place.event_id}


def _seals(after: int, until: int) -> Iterator[Checkpoint]:
    found = Checkpoint.objects.filter(number__lte=until).order_by("number")
    while chunk := list(found.filter(number__gt=after)[:CHUNK]):
        yield from chunk
        after = chunk[-1].number


def _uncovered(head: Checkpoint | None) -> Iterator[Record]:
    """Yield places beyond the last seal that no seal has come to cover meanwhile."""
    covering = Checkpoint.objects.filter(last_position__gte=OuterRef("position"))
    beyond = ChainEntry.objects.filter(
        ~Exists(covering), position__gt=head.last_position if head else 0
    )
    yield from with_events(list(beyond.order_by("position")[:CHUNK]))


def _in_chunks(rows: models.QuerySet[Any, dict[str, Any]], key: str) -> Iterator[dict[str, Any]]:
    found = rows
    while chunk := list(found[:CHUNK]):
        yield from chunk
        found = rows.filter(**{f"{key}__gt": chunk[-1][key]})
