"""Events as the log's table shows them: plain words, made once for each row."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from audit.models import Event


def rows_of(events: Iterable[Event], opened: Event | None, address: str) -> list[dict[str, Any]]:
    """``address`` is the page's, to which a row adds that it is to be opened."""
    zone = timezone.get_current_timezone()
    return [
        {
            **_row(event, event.at.astimezone(zone)),
            **toggle_of(address, event.number, f"#e{event.number}", event == opened),
        }
        for event in events
    ]


def _row(event: Event, at: datetime) -> dict[str, Any]:
    return {
        "number": event.number,
        "at": at,
        "instant": at.isoformat(),
        "action": event.get_event_display(),
        "trouble": event.is_trouble,
        "actor": event.actor_name,
        "target": _target(event),
        "address": event.address or "Portal",
    }


def toggle_of(address: str, number: str, place: str, opened: bool) -> dict[str, Any]:  # noqa: FBT001
    """Return whether a row's details are shown, and the link that shows them, or hides them."""
    if opened:
        return {"opened": True, "expanded": "true", "toggle": f"{address}{place}"}
    return {"opened": False, "expanded": "false", "toggle": f"{address}open={number}{place}"}


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
