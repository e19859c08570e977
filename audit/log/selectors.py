"""Reading the audit log: what is asked for, and what belongs to one row."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from django.db.models import F, Subquery, Value
from django.db.models.functions import Coalesce

from apono_portal.core.db.keyset import (
    PAGE_SIZE,
    Page,
    about_rows,
    newest_page,
    page_of,
    with_extent,
)
from apono_portal.core.db.prepared import Prepared, prepared
from audit.events import EventName
from audit.models import Event
from audit.querysets import EventQuerySet

LAST = 10

WINDOW = 2000

LARGEST_ID = 2**63 - 1


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
        if wanted == Wanted(event=wanted.event) and before is None and after is None:
            return newest_page(_newest(wanted.event))
        found = with_extent(wanted_events(wanted), filtered=wanted != Wanted())
        return page_of(found, before=before, after=after)
    near = page_of(_near(wanted, before, after), before=before, after=after)
    if near.newer_than if after is not None else near.older_than:
        return near
    # In an order no index has, so that none tempts the planner to walk along it.
    found = wanted_events(wanted).alias(place=F("pk") + 0)
    return page_of(found, before=before, after=after, order="place")


def _near(wanted: Wanted, before: int | None, after: int | None) -> EventQuerySet:
    """Of the next `WINDOW` events that are wanted but for the words, those that tell them."""
    all_the_same = _wanted_events(replace(wanted, actor="", text=""))
    if after is not None:
        beyond = all_the_same.filter(pk__gt=after).order_by("pk").values("pk")
        return _wanted_events(wanted).filter(
            pk__lte=Coalesce(Subquery(beyond[WINDOW : WINDOW + 1]), Value(LARGEST_ID))
        )
    if before is not None:
        all_the_same = all_the_same.filter(pk__lt=before)
    beyond = all_the_same.order_by("-pk").values("pk")
    return _wanted_events(wanted).filter(
        pk__gte=Coalesce(Subquery(beyond[WINDOW : WINDOW + 1]), Value(0))
    )


@cache
def _newest(event: str) -> Prepared:
    """The first page of an action, or of all."""
    found = with_extent(wanted_events(Wanted(event=event)), filtered=bool(event))
    return prepared()(lambda: found.order_by("-pk")[: PAGE_SIZE + 1])


def about_page(wanted: Wanted, page: Page[Event]) -> str:
    """Say how many rows there are. For words they are not counted beyond the page."""
    if not wanted.words:
        return about_rows(page.rows, filtered=wanted != Wanted())
    count = len(page.rows)
    if page.newer_than or page.older_than:
        return f"more than {count:,} rows"
    return f"{count:,} row{'' if count == 1 else 's'}"


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
