"""Events as the log's table shows them: plain words, made once for each row."""

from collections.abc import Iterable
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from audit.models import Event


def rows_of(events: Iterable[Event], opened: Event | None) -> list[dict[str, Any]]:
    return [_row(event, opened is not None and event.pk == opened.pk) for event in events]


def _row(event: Event, opened: bool) -> dict[str, Any]:  # noqa: FBT001
    at = timezone.localtime(event.at)
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
    }


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
