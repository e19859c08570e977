"""Events as the log's table shows them: plain words, made once for each row."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from audit.models import Event


def rows_of(events: Iterable[Event], opened: Event | None) -> list[dict[str, Any]]:
    zone = timezone.get_current_timezone()
    return [
        _row(event, event.at.astimezone(zone), opened is not None and event.pk == opened.pk)
        for event in events
    ]


def _row(event: Event, at: datetime, opened: bool) -> dict[str, Any]:  # noqa: FBT001
    return {
        "number": event.number,
        "at": at,
        "instant": at.isoformat(),
        "action": event.get_event_display(),
        "trouble": event.is_trouble,
        "actor": event.actor_name,
        "target": _target(event),
        "address": event.address or "Portal",
        "opened": opened,
        **toggle_of(event.number, opened),
    }


def toggle_of(number: str, opened: bool) -> dict[str, str]:  # noqa: FBT001
    """Return what a row's link to its details adds to the address, and whether they are shown."""
    if opened:
        return {"toggle": "", "expanded": "true"}
    return {"toggle": f"open={number}", "expanded": "false"}


def _target(event: Event) -> str:
    target, request = event.target_name, event.request_label
    if not request:
        return target
    return request if event.target_label in {"", request} else f"{request} · {target}"


def address_without(asked: QueryDict, name: str) -> str:
    """Return the query of a page up to where ``name`` may be added to it."""
    kept = asked.copy()
    kept.pop(name, None)
    return f"?{kept.urlencode()}&" if kept else "?"
