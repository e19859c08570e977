"""An event's metadata for people: facts, and changes as before and after."""

from dataclasses import dataclass, field

from audit.models import Event
from audit.services import Metadata

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
        (_label(key), format_value(value))
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


def format_value(value: object) -> str:
    """Return a JSON value as people write it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(format_value(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{_label(str(key))}: {format_value(item)}" for key, item in value.items())
    return str(value)


def _label(key: str) -> str:
    return key.replace("_", " ").capitalize()
