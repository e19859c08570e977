"""The audit log as CSV (RFC 4180), safe to open in a spreadsheet, and as JSON Lines.

The CSV is for reading. What can be verified are the JSON Lines (audit/verify_export.py): without
filters they hold the whole chain, with filters the rows asked for, each with its marks.
"""

import csv
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from apono_portal.core.db.keyset import batches_of
from audit.events import EventName
from audit.integrity.chain import event_record, instant, latest_stub
from audit.integrity.verification import whole_log
from audit.log.export_progress import followed, token_in
from audit.log.selectors import Wanted, wanted_events
from audit.models import ChainEntry, Event
from audit.verify_export import FIELDS, FORMAT, GENESIS, Record

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
COLUMNS = (
    "event_id",
    "at",
    "event",
    "actor",
    "target_type",
    "target_id",
    "target",
    "request",
    "address",
    "user_agent",
    "mfa_verification",
    "mfa_at",
    "mfa_with",
    "mfa_from",
    "metadata",
    "position",
    "digest",
)
CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}


class _Line:
    """The smallest file a csv.writer can write to: it hands back what it is given."""

    def write(self, text: str) -> str:
        return text


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield a CSV file line by line, its head first. None is an empty cell."""
    writer = csv.writer(_Line())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow(["" if cell is None else harmless(str(cell)) for cell in row])


def json_lines(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    for record in records:
        yield f"{json.dumps(record)}\n"


def harmless(cell: str) -> str:
    """Return the cell so that no spreadsheet takes it for a formula (OWASP: CSV Injection)."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def download_for(
    request: HttpRequest, lines: Iterable[str], *, name: str, form: str, expected: int | None
) -> StreamingHttpResponse:
    """Answer a page's request for a file, and note how far it is if the page will ask."""
    token = token_in(request.GET.get("progress", ""))
    actor_id: Any = request.user.pk
    noted = followed(lines, token=token, actor_id=actor_id, expected=expected)
    return download(noted, name=name, form=form)


def download(lines: Iterable[str], *, name: str, form: str) -> StreamingHttpResponse:
    """Answer with a file that is written while it is read. ``form`` is csv or jsonl."""
    file = f"{name}-{timezone.localtime():%Y-%m-%d}.{form}"
    return StreamingHttpResponse(
        _pieces(lines),
        content_type=CONTENT_TYPES[form],
        headers={
            "Content-Disposition": f'attachment; filename="{file}"',
            "Cache-Control": "no-store",
        },
    )


def _pieces(lines: Iterable[str], size: int = 64 * 1024) -> Iterator[bytes]:
    """Put lines together: a million small writes would cost more than what is written."""
    waiting, length = [], 0
    for line in lines:
        waiting.append(line)
        length += len(line)
        if length >= size:
            yield "".join(waiting).encode()
            waiting, length = [], 0
    yield "".join(waiting).encode()


def exported_log(wanted: Wanted, form: str) -> Iterator[str]:
    """Yield the file that holds what is asked for."""
    if form == "csv":
        return csv_lines(COLUMNS, _rows(wanted))
    made_at = instant(timezone.now())
    return json_lines(filtered_log(wanted) if wanted != Wanted() else whole_log(made_at=made_at))


def filtered_log(wanted: Wanted) -> Iterator[Record]:
    """Yield the wanted rows, each with the link before its own, so that it can be checked alone."""
    events, stub = 0, latest_stub()
    beginning = {stub.through_position: stub.link} if stub else {0: GENESIS}
    told = {name: str(value) for name, value in vars(wanted).items() if value not in ("", None)}
    made_at = instant(timezone.now())
    yield {"kind": "export", "format": FORMAT, "whole": False, "made_at": made_at, "filters": told}
    for batch in batches_of(wanted_events(wanted)):
        places = _places_of(batch)
        before = beginning | _links_before(places.values())
        for event in batch:
            events += 1
            yield {"kind": "event", **_marks(places.get(event.pk), before), **_values(event)}
    yield {"kind": "end", "events": events}


def _values(event: Event) -> Record:
    return event_record({name: getattr(event, name) for name in FIELDS["event"]})


def _marks(place: ChainEntry | None, before: dict[int, str]) -> Record:
    if place is None:
        return {"position": None}
    marks = {"position": place.position, "digest": place.digest, "link": place.link}
    return {**marks, "previous": before.get(place.position - 1)}


def _places_of(batch: list[Event]) -> dict[int, ChainEntry]:
    places = ChainEntry.objects.filter(event_id__in=[event.pk for event in batch])
    return {place.event_id: place for place in places}


def _links_before(places: Iterable[ChainEntry]) -> dict[int, str]:
    numbers = [place.position - 1 for place in places]
    found = ChainEntry.objects.filter(position__in=numbers).values_list("position", "link")
    return dict(found)


def _rows(wanted: Wanted) -> Iterator[list[object]]:
    evidence = Evidence()
    for batch in batches_of(wanted_events(wanted)):
        evidence.learn(batch)
        places = _places_of(batch)
        for event in batch:
            yield _cells(event, evidence, places.get(event.pk))


def _cells(event: Event, evidence: "Evidence", place: ChainEntry | None) -> list[object]:
    said = json.dumps(event.metadata, ensure_ascii=False, sort_keys=True) if event.metadata else ""
    return [
        event.pk,
        event.at.isoformat(),
        event.event,
        event.actor_label,
        event.target_type,
        event.target_id,
        event.target_label,
        event.request_label,
        event.address,
        event.user_agent,
        *evidence.of(event),
        said,
        place.position if place else "",
        place.digest if place else "",
    ]


class Evidence:
    """Which verification an event stands on, told by that verification's own event.

    Events come in their order, so the verification has mostly just been seen; the others of a batch
    are looked up together.
    """

    REMEMBERED = 10_000
    LONGEST_WAIT = timedelta(days=31)  # between a verification and the last event that names it

    def __init__(self) -> None:
        self._known: OrderedDict[int, list[object]] = OrderedDict()

    def learn(self, batch: list[Event]) -> None:
        self._remember(event for event in batch if event.event == EventName.MFA_VERIFY)
        wanted = {_verification_of(event) for event in batch} - {None, *self._known}
        if wanted:
            since = batch[0].at - self.LONGEST_WAIT
            found = Event.objects.filter(event=EventName.MFA_VERIFY, at__gte=since)
            self._remember(found.filter(metadata__verification__in=wanted))
        while len(self._known) > self.REMEMBERED:
            self._known.popitem(last=False)

    def of(self, event: Event) -> list[object]:
        """Return number, time, authenticator and address of the verification, or nothing of it."""
        number = _verification_of(event)
        return [number, *self._known.get(number or 0, [None, None, None])]

    def _remember(self, events: Iterable[Event]) -> None:
        for event in events:
            if (number := _verification_of(event)) is not None:
                said = event.metadata.get("authenticator")
                self._known[number] = [event.at.isoformat(), said, event.address]


def _verification_of(event: Event) -> int | None:
    number = event.metadata.get("verification")
    return number if isinstance(number, int) else None
