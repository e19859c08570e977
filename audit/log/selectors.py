"""Reading the audit log: filters, pages, and what belongs to one event."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import DateTimeField, ExpressionWrapper, F, Subquery, Value
from django.db.models.functions import Coalesce

from apono_portal.core.db.keyset import MAX_ID, Page, count_text, following, page_of, total_text
from audit.events import EventName
from audit.models import Event
from audit.querysets import EventQuerySet

SCAN_LIMIT = 10_000  # events compared one by one
MAX_CANDIDATES = 500  # events that the index over words found
DAWN, DUSK = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
GRANT = "requests_app.grant"
USER = "users.user"


@dataclass(frozen=True)
class EventFilter:
    """Which events to list. Empty fields match everything."""

    event: str = ""
    actor: str = ""
    request_id: int | None = None
    text: str = ""
    grant_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    actor_id: int | None = None
    user_id: int | None = None  # about this user

    @property
    def words(self) -> str:
        return f"{self.actor} {self.text}".strip()

    @property
    def without_words(self) -> "EventFilter":
        return replace(self, actor="", text="")

    @property
    def is_range(self) -> bool:
        return self.since is not None or self.until is not None


def filter_events(filters: EventFilter) -> EventQuerySet:
    return _filter_by_scan(filters).matching_words(filters.words)


def _filter_by_scan(filters: EventFilter) -> EventQuerySet:
    """Return the same events, found without the index over words."""
    events = Event.objects.between(filters.since, filters.until)
    if filters.event:
        events = events.filter(event=filters.event)
    if filters.request_id is not None:
        events = events.about_request(filters.request_id)
    if filters.grant_id is not None:
        events = events.filter(target_type=GRANT, target_id=str(filters.grant_id))
    if filters.actor_id is not None:
        events = events.filter(actor_id=filters.actor_id)
    if filters.user_id is not None:
        events = events.filter(target_type=USER, target_id=str(filters.user_id))
    return events.by_actor(filters.actor).matching(filters.text)


@dataclass(frozen=True)
class Place:
    """Where a page of events starts, and their order: by id, or by time if a range of days is listed.

    Only the index over times finds days that are long past.
    """

    before: int | None
    after: int | None
    by_time: bool = False
    at: datetime = DAWN  # of the event where the page starts

    @classmethod
    def of(cls, filters: EventFilter, before: int | None, after: int | None) -> "Place":
        pk = before if after is None else after
        if not filters.is_range or pk is None:
            return cls(before, after, filters.is_range)
        # Retention may have removed that event; the one before it is as good.
        start = Event.objects.filter(pk__lte=pk).first()
        return cls(before, after, by_time=True, at=start.at if start else DAWN)

    def keys(self, *, indexed: bool = True) -> dict[str, Any]:
        """Return the arguments of `page_of`. Not ``indexed``: with the columns of `_unindexed`."""
        pk, at = ("pk", "at") if indexed else ("unindexed_pk", "unindexed_at")
        leading = (at, self.at) if self.by_time else None
        return {"before": self.before, "after": self.after, "order": pk, "leading": leading}

    def is_full(self, page: Page[Event]) -> bool:
        return bool(page.newer_than if self.after is not None else page.older_than)


def page_of_events(filters: EventFilter, *, before: int | None, after: int | None) -> Page[Event]:
    """Return a page of events, by whichever way is fast.

    With words, the next `SCAN_LIMIT` events are scanned first, which fills a page if the words are
    common. Otherwise the index finds the few events with all the words. The next of them are compared
    and, if hardly any match, all: scanning until a page is full is slow exactly when words are rare.
    """
    place = Place.of(filters, before, after)
    if not filters.words:
        return page_of(filter_events(filters), **place.keys())
    page = page_of(_next_events(filters, place), **place.keys())
    if place.is_full(page):
        return page
    pks = _next_indexed(filters, place)
    page = page_of(_filter_by_scan(filters).filter(pk__in=pks), **place.keys())
    if place.is_full(page) or len(pks) < MAX_CANDIDATES:
        return page
    return page_of(_unindexed(filter_events(filters)), **place.keys(indexed=False))


def _next_events(filters: EventFilter, place: Place) -> EventQuerySet:
    """Return those with the words among the next `SCAN_LIMIT` events of the other filters."""
    others = following(_filter_by_scan(filters.without_words), **place.keys())
    column = "at" if place.by_time else "pk"
    if place.after is None:
        side, end = "gte", DAWN if place.by_time else 0
    else:
        side, end = "lte", DUSK if place.by_time else MAX_ID
    last = Subquery(others.values(column)[SCAN_LIMIT : SCAN_LIMIT + 1])
    matching = _filter_by_scan(filters)
    return matching.filter(**{f"{column}__{side}": Coalesce(last, Value(end))})


def _next_indexed(filters: EventFilter, place: Place) -> list[int]:
    """Return the ids of the next `MAX_CANDIDATES` events that the index over words finds."""
    indexed = _filter_by_scan(filters.without_words).matching_words(filters.words)
    candidates = following(_unindexed(indexed), **place.keys(indexed=False))
    return list(candidates.values_list("pk", flat=True)[:MAX_CANDIDATES])


def _unindexed(events: EventQuerySet) -> EventQuerySet:
    """Add the columns of the order as no index has them, so that the planner cannot scan along one."""
    at = ExpressionWrapper(F("at") + timedelta(0), output_field=DateTimeField())
    return events.alias(unindexed_pk=F("pk") + 0, unindexed_at=at)


def total_of(filters: EventFilter, page: Page[Event]) -> str:
    """Return how many events match. With words, those beyond the page are not counted: that is slow."""
    if not filters.words:
        return total_text(
            filter_events(filters),
            is_filtered=filters != EventFilter(),
            order="-at" if filters.is_range else "-pk",
        )
    is_part = page.newer_than or page.older_than
    return f"more than {len(page.rows)} rows" if is_part else count_text(len(page.rows))


def released_by(event: Event) -> list[Event]:
    """Return the request releases that a verification event caused, oldest first."""
    number = event.metadata.get("verification")
    if event.event != EventName.MFA_VERIFY or number is None:
        return []
    releases = Event.objects.filter(
        event=EventName.REQUEST_RELEASE,
        actor_id=event.actor_id,
        metadata__verification=number,
    )
    return list(releases.order_by("id"))
