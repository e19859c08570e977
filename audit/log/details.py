"""An event's metadata for people: facts, and changes as before and after."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format

from apono_portal.core.formatting.durations import format_duration
from audit.models import Event
from audit.services import Metadata

ONE_MINUTE_S = 60
SHOWN_ELSEWHERE = {"changes", "from", "to", "verification"}


@dataclass(frozen=True)
class Change:
    """A setting before and after."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Details:
    """What an open row shows below its line."""

    facts: list[tuple[str, str]]
    changes: list[Change]
    released: list[Event] = field(default_factory=list)


def details_of(event: Event, *, released: list[Event]) -> Details:
    hidden = SHOWN_ELSEWHERE | ({"requests"} if released else set())
    facts = [
        _fact(key, value)
        for key, value in event.metadata.items()
        if key not in hidden and value not in (None, "", [], {})
    ]
    return Details(facts=facts, changes=changes_of(event.metadata), released=released)


def changes_of(metadata: Metadata) -> list[Change]:
    """Return the changes in an event's metadata, in either of the shapes that services write.

    ``{"changes": [{"term", "before", "after"}]}`` or ``{"changes": {name: {"from", "to"}}}``; a status
    change is ``{"from", "to"}`` itself.
    """
    values = metadata.get("changes", {})
    if isinstance(values, dict):
        rows = [(name, value.get("from"), value.get("to")) for name, value in values.items()]
    else:
        rows = [(value["term"], value["before"], value["after"]) for value in values]
    if "from" in metadata and "to" in metadata:
        rows.append(("status", metadata["from"], metadata["to"]))
    return [Change(name, format_value(before), format_value(after)) for name, before, after in rows]


def _fact(key: str, value: object) -> tuple[str, str]:
    """Return a metadata item as people write it: ``duration_s`` as a duration."""
    if key.endswith("_s") and isinstance(value, int | float) and not isinstance(value, bool):
        is_long = value >= ONE_MINUTE_S
        text = format_duration(timedelta(seconds=round(value))) if is_long else f"{value:.3g} s"
        return _label(key.removesuffix("_s")), text
    return _label(key), format_value(value)


def format_value(value: object) -> str:
    """Return a JSON value as people write it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(format_value(item) for item in value) or "none"
    if isinstance(value, dict):
        return "; ".join(_statement(str(key), item) for key, item in value.items())
    instant = _instant(value)
    return date_format(instant, "j M Y, H:i:s") if instant else str(value)


def _statement(key: str, value: object) -> str:
    """Return what is true of something as words: ``Role removed``, not ``Role removed: yes``."""
    if value is True:
        return _label(key)
    name, text = _fact(key, value)
    return f"{name}: {text}"


def _instant(value: object) -> datetime | None:
    try:
        at = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return timezone.localtime(at) if at is not None and timezone.is_aware(at) else None


def _label(key: str) -> str:
    """Return the name of a metadata item: ``Require MFA``, ``Break-glass``."""
    words = key.replace("_", " ").capitalize()
    return words.replace("Break glass", "Break-glass").replace("mfa", "MFA").replace("Mfa", "MFA")
