"""The audit log as CSV (RFC 4180), safe to open in a spreadsheet."""

import csv
import json
from collections.abc import Iterable, Iterator

from audit.models import Event

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
    "metadata",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Line:
    """The smallest file a csv.writer can write to: it hands back what it is given."""

    def write(self, text: str) -> str:
        return text


def as_csv(events: Iterable[Event]) -> Iterator[str]:
    """Yield the file line by line."""
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    for event in events:
        yield writer.writerow([harmless(cell) for cell in _cells(event)])


def _cells(event: Event) -> list[str]:
    return [
        str(event.pk),
        event.at.isoformat(),
        event.event,
        event.actor_label,
        event.target_type,
        event.target_id,
        event.target_label,
        event.request_label,
        event.address or "",
        event.user_agent,
        json.dumps(event.metadata, ensure_ascii=False, sort_keys=True) if event.metadata else "",
    ]


def harmless(cell: str) -> str:
    """Return the cell so that no spreadsheet takes it for a formula (OWASP: CSV Injection)."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
