"""Reading the audit log: what is asked for, and what belongs to one row."""

from dataclasses import dataclass
from datetime import datetime

from audit.chain import chain_state, latest_seal
from audit.events import EventName
from audit.models import ChainState, Event, Seal, SealedEvent
from audit.querysets import EventQuerySet

LAST = 10


@dataclass(frozen=True)
class Wanted:
    """Which events are asked for. Empty fields ask for everything."""

    event: str = ""
    actor: str = ""
    request_id: int | None = None
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None


def wanted_events(wanted: Wanted) -> EventQuerySet:
    found = Event.objects.between(wanted.since, wanted.until)
    if wanted.event:
        found = found.filter(event=wanted.event)
    if wanted.request_id is not None:
        found = found.about_request(wanted.request_id)
    return found.by_actor(wanted.actor).matching(wanted.text)


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


@dataclass(frozen=True)
class Standing:
    """How far the log is sealed, and what the last verification found."""

    seal: Seal | None
    last: SealedEvent | None
    state: ChainState


def chain_standing() -> Standing:
    seal = latest_seal()
    place = SealedEvent.objects.filter(position=seal.last_position).first() if seal else None
    return Standing(seal, place, chain_state())


def last_verifications() -> list[Event]:
    """Return the latest verifications, by whomever and wherever they were asked for."""
    return list(Event.objects.filter(event=EventName.AUDIT_VERIFY).order_by("-pk")[:LAST])


def sealed_place(event: Event) -> SealedEvent | None:
    return SealedEvent.objects.filter(event_id=event.pk).first()
