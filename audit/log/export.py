"""Exports of the audit log: CSV (RFC 4180), safe to open in a spreadsheet, and JSON Lines.

CSV is for reading. JSON Lines can be verified (audit/verify_export.py): without filters they hold the
whole chain, with filters the matching events, each with its hashes.
"""

import csv
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from django.http import StreamingHttpResponse
from django.utils import timezone

from apono_portal.core.db.keyset import iter_batches
from apono_portal.core.formatting.datetimes import utc_timestamp
from apono_portal.core.web.types import PortalRequest
from audit.events import EventName
from audit.integrity.records import entry_fields, event_record, latest_stub, log_records
from audit.log.export_progress import parse_token, track_progress
from audit.log.selectors import EventFilter, filter_events
from audit.models import ChainEntry, Event
from audit.verify_export.formats import FIELDS, FORMAT, GENESIS, Record

BYTE_ORDER_MARK = "\ufeff"  # without it, Excel takes UTF-8 for a code page
# The time that a record is about, by which log pipelines sort.
TIME_FIELDS = ("at", "requested_at", "created_at", "made_at", "removed_at")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
CHUNK_LENGTH = 64 * 1024
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
    "mfa_method",
    "mfa_with",
    "mfa_from",
    "metadata",
    "position",
    "digest",
)
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/jsonl; charset=utf-8",
}


class _Line:
    """A file for csv.writer that returns what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a CSV file, header first. None is an empty cell."""
    writer = csv.writer(_Line())
    yield BYTE_ORDER_MARK + writer.writerow(columns)
    for row in rows:
        yield writer.writerow(["" if cell is None else escape_formula(str(cell)) for cell in row])


def json_lines(records: Iterable[Record]) -> Iterator[str]:
    """Yield a line for each record, with its time first. The order of fields is not hashed."""
    for record in records:
        yield f"{json.dumps(_time_first(record))}\n"


def _time_first(record: Record) -> Record:
    name = next((name for name in TIME_FIELDS if name in record), None)
    return {name: record[name], **record} if name else record


def escape_formula(cell: str) -> str:
    """Escape a cell that a spreadsheet would take for a formula (OWASP: CSV Injection)."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def download_with_progress(
    request: PortalRequest,
    lines: Iterable[str],
    *,
    name: str,
    file_format: str,
    expected: int | None,
) -> StreamingHttpResponse:
    """Return a streamed file, and save its progress if the page sent a token."""
    token = parse_token(request.GET.get("progress", ""))
    tracked = track_progress(lines, token=token, actor_id=request.user.pk, expected=expected)
    return download(tracked, name=name, file_format=file_format)


def download(lines: Iterable[str], *, name: str, file_format: str) -> StreamingHttpResponse:
    """Return a streamed file. ``file_format`` is csv, json or jsonl."""
    filename = f"{name}-{timezone.localtime():%Y-%m-%d}.{file_format}"
    return StreamingHttpResponse(
        _chunks(lines),
        content_type=CONTENT_TYPES[file_format],
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )


def _chunks(lines: Iterable[str]) -> Iterator[bytes]:
    """Join lines into chunks: a million small writes would cost more than their content."""
    chunk, length = [], 0
    for line in lines:
        chunk.append(line)
        length += len(line)
        if length >= CHUNK_LENGTH:
            yield "".join(chunk).encode()
            chunk, length = [], 0
    yield "".join(chunk).encode()


def export_lines(filters: EventFilter, file_format: str) -> Iterator[str]:
    """Yield the lines of the file with the matching events."""
    if file_format == "csv":
        return csv_lines(COLUMNS, _csv_rows(filters))
    if filters != EventFilter():
        return json_lines(_filtered_records(filters))
    return json_lines(log_records(made_at=utc_timestamp(timezone.now())))


def _filtered_records(filters: EventFilter) -> Iterator[Record]:
    """Yield the matching events, each with the chain hash before its own, so that it verifies alone."""
    count, stub = 0, latest_stub()
    start = {stub.through_position: stub.chain_hash} if stub else {0: GENESIS}
    typed = {name: str(value) for name, value in vars(filters).items() if value not in ("", None)}
    made_at = utc_timestamp(timezone.now())
    yield {"kind": "export", "format": FORMAT, "whole": False, "made_at": made_at, "filters": typed}
    for batch in iter_batches(filter_events(filters)):
        entries = _entries_of(batch)
        previous = start | _chain_hashes_before(entries.values())
        for event in batch:
            count += 1
            values = {name: getattr(event, name) for name in FIELDS["event"]}
            hashes = _hashes(entries.get(event.pk), previous)
            yield {"kind": "event", **hashes, **event_record(values)}
    yield {"kind": "end", "events": count}


def _hashes(entry: ChainEntry | None, previous: dict[int, str]) -> Record:
    if entry is None:
        return {"position": None}
    return {**entry_fields(entry), "previous_chain_hash": previous.get(entry.position - 1)}


def _entries_of(batch: list[Event]) -> dict[int, ChainEntry]:
    entries = ChainEntry.objects.filter(event_id__in=[event.pk for event in batch])
    return {entry.event_id: entry for entry in entries}


def _chain_hashes_before(entries: Iterable[ChainEntry]) -> dict[int, str]:
    positions = [entry.position - 1 for entry in entries]
    rows = ChainEntry.objects.filter(position__in=positions)
    return dict(rows.values_list("position", "chain_hash"))


def _csv_rows(filters: EventFilter) -> Iterator[list[object]]:
    evidence = EvidenceLookup()
    for batch in iter_batches(filter_events(filters)):
        evidence.load(batch)
        entries = _entries_of(batch)
        for event in batch:
            yield _csv_row(event, evidence, entries.get(event.pk))


def _csv_row(event: Event, evidence: "EvidenceLookup", entry: ChainEntry | None) -> list[object]:
    metadata = json.dumps(event.metadata, ensure_ascii=False, sort_keys=True)
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
        metadata if event.metadata else "",
        entry.position if entry else "",
        entry.digest if entry else "",
    ]


class EvidenceLookup:
    """The MFA verification behind an event, read from the event of that verification.

    Events come in order, so the verification has mostly just been read; the others of a batch are
    looked up together.
    """

    MAX_REMEMBERED = 10_000
    MAX_AGE = timedelta(days=31)  # between a verification and the last event that names it

    def __init__(self) -> None:
        self._verifications: OrderedDict[int, list[object]] = OrderedDict()

    def load(self, batch: list[Event]) -> None:
        self._remember(event for event in batch if event.event == EventName.MFA_VERIFY)
        missing = {_verification_of(event) for event in batch} - {None, *self._verifications}
        if missing:
            since = batch[0].at - self.MAX_AGE
            events = Event.objects.filter(event=EventName.MFA_VERIFY, at__gte=since)
            self._remember(events.filter(metadata__verification__in=missing))
        while len(self._verifications) > self.MAX_REMEMBERED:
            self._verifications.popitem(last=False)

    def of(self, event: Event) -> list[object]:
        """Return id, time, method, authenticator and address of the verification, or None for each."""
        number = _verification_of(event)
        return [number, *self._verifications.get(number or 0, [None, None, None, None])]

    def _remember(self, events: Iterable[Event]) -> None:
        for event in events:
            if (number := _verification_of(event)) is not None:
                about = [event.metadata.get(name) for name in ("method", "authenticator")]
                self._verifications[number] = [event.at.isoformat(), *about, event.address]


def _verification_of(event: Event) -> int | None:
    number = event.metadata.get("verification")
    return number if isinstance(number, int) else None
