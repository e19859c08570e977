"""An event in words: its metadata as facts, its changes as before and after."""

from dataclasses import dataclass, field
from typing import Any

from audit.models import Event

SHOWN_ELSEWHERE = {"changes", "from", "to", "verification"}


@dataclass(frozen=True)
class Change:
    """One thing that was ``before`` and is ``after``."""

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
    elsewhere = SHOWN_ELSEWHERE | ({"requests"} if released else set())
    facts = [
        (_word(key), said(value))
        for key, value in event.metadata.items()
        if key not in elsewhere and value not in (None, "", [], {})
    ]
    return Details(facts=facts, changes=changes_of(event.metadata), released=released)


def changes_of(metadata: dict[str, Any]) -> list[Change]:
    """Return the changes an event tells of, in either of the two shapes services write.

    ``{"changes": [{"term", "before", "after"}]}``, ``{"changes": {name: {"from", "to"}}}``; a status
    change is ``{"from", "to"}`` itself.
    """
    told = metadata.get("changes", {})
    if isinstance(told, dict):
        found = [Change(k, said(v.get("from")), said(v.get("to"))) for k, v in told.items()]
    else:
        found = [Change(c["term"], said(c["before"]), said(c["after"])) for c in told]
    if "from" in metadata and "to" in metadata:
        found.append(Change("status", said(metadata["from"]), said(metadata["to"])))
    return found


def said(value: object) -> str:
    """Return a JSON value as a person would write it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(said(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{_word(str(key))}: {said(item)}" for key, item in value.items())
    return str(value)


def _word(key: str) -> str:
    return key.replace("_", " ").capitalize()
