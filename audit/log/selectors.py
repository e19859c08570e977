"""Reading the audit log: filters, pages, and what belongs to one event."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import BigIntegerField, F, Subquery, Value
from django.db.models.functions import Coalesce

from apono_portal.core.db.keyset import Page, count_text, page_of, total_text
from audit.events import EventName
from audit.models import Event
from audit.querysets import EventQuerySet

SCAN_LIMIT = 2000
GRANT = "requests_app.grant"


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

    @property
    def words(self) -> str:
        return f"{self.actor} {self.text}".strip()


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
    return events.by_actor(filters.actor).matching(filters.text)


def page_of_events(filters: EventFilter, *, before: int | None, after: int | None) -> Page[Event]:
    """Return a page of events, by whichever way is fast.

    With words, the next `SCAN_LIMIT` events are scanned first, which fills a page if the words are
    common. Otherwise the index finds the few matching events, and all of them are sorted: scanning
    until a page is full is slow exactly when words are rare.
    """
    if not filters.words:
        return page_of(filter_events(filters), before=before, after=after)
    page = page_of(_next_events(filters, before, after), before=before, after=after)
    if page.newer_than if after is not None else page.older_than:
        return page
    # No index has this order, so the planner cannot choose to scan along it.
    events = filter_events(filters).alias(unindexed_id=F("pk") + 0)
    return page_of(events, before=before, after=after, order="unindexed_id")


def _next_events(filters: EventFilter, before: int | None, after: int | None) -> EventQuerySet:
    """Return those with the words among the next `SCAN_LIMIT` events of the other filters."""
    others = _filter_by_scan(replace(filters, actor="", text=""))
    matching = _filter_by_scan(filters)
    if after is not None:
        ids = others.filter(pk__gt=after).order_by("pk").values("pk")
        last_id = Subquery(ids[SCAN_LIMIT : SCAN_LIMIT + 1])
        return matching.filter(pk__lte=Coalesce(last_id, Value(BigIntegerField.MAX_BIGINT)))
    if before is not None:
        others = others.filter(pk__lt=before)
    ids = others.order_by("-pk").values("pk")
    last_id = Subquery(ids[SCAN_LIMIT : SCAN_LIMIT + 1])
    return matching.filter(pk__gte=Coalesce(last_id, Value(0)))


def total_of(filters: EventFilter, page: Page[Event]) -> str:
    """Return how many events match. With words, those beyond the page are not counted: that is slow."""
    if not filters.words:
        return total_text(filter_events(filters), is_filtered=filters != EventFilter())
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
