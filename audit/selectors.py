"""Reading the audit log: a page of it, what belongs to one row, all of it for an export."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from audit.events import EventName
from audit.models import Event
from audit.querysets import EventQuerySet

PAGE_SIZE = 50
EXPORT_CHUNK = 1000


@dataclass(frozen=True)
class Wanted:
    """Which events are asked for. Empty fields ask for everything."""

    event: str = ""
    actor: str = ""
    request_id: int | None = None
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class LogPage:
    """Some events, newest first, and the ids from which the pages beside it are read."""

    events: list[Event]
    newer_than: int | None
    older_than: int | None


def wanted_events(wanted: Wanted) -> EventQuerySet:
    found = Event.objects.between(wanted.since, wanted.until)
    if wanted.event:
        found = found.filter(event=wanted.event)
    if wanted.request_id is not None:
        found = found.about_request(wanted.request_id)
    return found.by_actor(wanted.actor).matching(wanted.text)


def log_page(
    *, wanted: Wanted, before: int | None = None, after: int | None = None, size: int = PAGE_SIZE
) -> LogPage:
    """Return the events next to an id: a keyset, so page 1,000 costs what page 1 does.

    ``before`` asks for older events than that id, ``after`` for newer ones, neither for the newest.
    """
    found = wanted_events(wanted)
    if after is not None:
        rows = list(found.filter(id__gt=after).order_by("id")[: size + 1])
        events = rows[:size][::-1]
        return _page(events, has_newer=len(rows) > size, has_older=True)
    if before is not None:
        found = found.filter(id__lt=before)
    rows = list(found.order_by("-id")[: size + 1])
    return _page(rows[:size], has_newer=before is not None, has_older=len(rows) > size)


def _page(events: list[Event], *, has_newer: bool, has_older: bool) -> LogPage:
    return LogPage(
        events=events,
        newer_than=events[0].pk if events and has_newer else None,
        older_than=events[-1].pk if events and has_older else None,
    )


def released_by(event: Event) -> list[Event]:
    """Return the releases that stand on this verification, in their order."""
    number = event.metadata.get("verification")
    if event.event != EventName.MFA_VERIFY or number is None:
        return []
    releases = Event.objects.filter(
        event=EventName.REQUEST_RELEASE,
        actor_id=event.actor_id,
        metadata__verification=number,
    )
    return list(releases.order_by("id"))


def exported_events(wanted: Wanted) -> Iterator[Event]:
    """Yield every wanted event, oldest first, a chunk in memory at a time."""
    last = 0
    while chunk := list(wanted_events(wanted).filter(id__gt=last).order_by("id")[:EXPORT_CHUNK]):
        yield from chunk
        last = chunk[-1].pk
