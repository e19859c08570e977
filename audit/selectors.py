"""Reading the audit log: what is asked for, and what belongs to one row."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, OuterRef, QuerySet, Subquery

from audit.events import EventName
from audit.keyset import COUNTED, Page, about, page_of
from audit.models import ChainState, Event, Seal, SealedEvent
from audit.prepared import prepared
from audit.querysets import EventQuerySet

LAST = 10
WINDOW = 2000
COUNTED_BY_WORDS = 1000


@dataclass(frozen=True)
class Wanted:
    """Which events are asked for. Empty fields ask for everything."""

    event: str = ""
    actor: str = ""
    request_id: int | None = None
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def words(self) -> str:
        return f"{self.actor} {self.text}".strip()


def wanted_events(wanted: Wanted) -> EventQuerySet:
    return _wanted_events(wanted).telling(wanted.words)


def _wanted_events(wanted: Wanted) -> EventQuerySet:
    found = Event.objects.between(wanted.since, wanted.until)
    if wanted.event:
        found = found.filter(event=wanted.event)
    if wanted.request_id is not None:
        found = found.about_request(wanted.request_id)
    return found.by_actor(wanted.actor).matching(wanted.text)


def page_of_events(wanted: Wanted, *, before: int | None, after: int | None) -> Page[Event]:
    """Return a page of what is wanted by whichever way is quick.

    For words the next `WINDOW` events are looked at first, which fills a page if the words are
    common. If they do not, the index over words tells the few that match, and all of these are
    sorted: to go on until a page is full is slow just when the words are rare.
    """
    if not wanted.words:
        return page_of(wanted_events(wanted), before=before, after=after)
    near = page_of(_near(_wanted_events(wanted), before, after), before=before, after=after)
    if near.newer_than if after is not None else near.older_than:
        return near
    # In an order no index has, so that none tempts the planner to walk along it.
    found = wanted_events(wanted).alias(place=F("pk") + 0)
    return page_of(found, before=before, after=after, order="place")


def _near(found: EventQuerySet, before: int | None, after: int | None) -> EventQuerySet:
    if after is not None:
        return found.filter(pk__lt=after + WINDOW)
    if before is not None:
        return found.filter(pk__gte=before - WINDOW)
    latest = Event.objects.order_by("-pk").values("pk")[:1]
    return found.filter(pk__gt=Subquery(latest) - WINDOW)


def about_events(wanted: Wanted, *, filtered: bool) -> str:
    """Say how many there are. Words are dear to count by."""
    most = COUNTED_BY_WORDS if wanted.words else COUNTED
    return about(wanted_events(wanted), filtered=filtered, most=most)


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
    """How far the log is sealed, to which event, and what the last verification found."""

    seal: Seal | None
    through: int | None
    state: ChainState


def chain_standing() -> Standing:
    seal = _latest_seal.first()
    return Standing(seal, seal.through if seal else None, _state.first() or ChainState())


@prepared()
def _latest_seal() -> QuerySet[Seal]:
    place = SealedEvent.objects.filter(position=OuterRef("last_position"))
    through = Subquery(place.values("event_id")[:1])
    return Seal.objects.annotate(through=through).order_by("-number")[:1]


@prepared()
def _state() -> QuerySet[ChainState]:
    return ChainState.objects.filter(pk=ChainState.ONLY)


def last_verifications() -> list[Event]:
    """Return the latest verifications, by whomever and wherever they were asked for."""
    return list(Event.objects.filter(event=EventName.AUDIT_VERIFY).order_by("-pk")[:LAST])


def sealed_place(event: Event) -> SealedEvent | None:
    return SealedEvent.objects.filter(event_id=event.pk).first()
