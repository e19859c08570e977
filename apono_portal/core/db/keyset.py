"""Pages and batches read by key, newest first: page 1,000 costs what page 1 does."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import models
from django.db.models import Max, Min, Subquery

from apono_portal.core.db.prepared import Prepared

PAGE_SIZE = 25
BATCH = 1000
COUNTED = 10_000  # to say how far an export is
SAID = 1000  # on a page

Row = TypeVar("Row", bound=models.Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, newest first, and the keys from which the pages beside it are read."""

    rows: list[Row]
    newer_than: int | None
    older_than: int | None


def page_of(
    found: models.QuerySet[Any, Any],
    *,
    before: int | None,
    after: int | None,
    order: str = "pk",
) -> Page[Any]:
    """Return the rows next to a key, models or named rows that have it as ``pk``.

    ``before`` asks for older rows than that key, ``after`` for newer ones, neither for the newest.
    ``order`` names what has the order of the keys.
    """
    if after is not None:
        rows = list(found.filter(pk__gt=after).order_by(order)[: PAGE_SIZE + 1])
        more, rows = len(rows) > PAGE_SIZE, rows[:PAGE_SIZE][::-1]
        return _page(rows, has_newer=more, has_older=True)
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found.order_by(f"-{order}")[: PAGE_SIZE + 1])
    more, rows = len(rows) > PAGE_SIZE, rows[:PAGE_SIZE]
    return _page(rows, has_newer=before is not None, has_older=more)


def newest_page(newest: Prepared) -> Page[Any]:
    """Return the newest rows, for which and for one more a query is prepared."""
    rows = newest()
    return _page(rows[:PAGE_SIZE], has_newer=False, has_older=len(rows) > PAGE_SIZE)


def _page(rows: list[Any], *, has_newer: bool, has_older: bool) -> Page[Any]:
    return Page(
        rows=rows,
        newer_than=rows[0].pk if rows and has_newer else None,
        older_than=rows[-1].pk if rows and has_older else None,
    )


def batches_of(found: models.QuerySet[Row]) -> Iterator[list[Row]]:
    """Yield every row, oldest first, a batch in memory at a time."""
    last: Any = None
    while batch := list((found.filter(pk__gt=last) if last else found).order_by("pk")[:BATCH]):
        yield batch
        last = batch[-1].pk


def expected_rows(found: models.QuerySet[Any], *, filtered: bool) -> int | None:
    """Return how many rows there are or about so, None where counting them would take long."""
    counted = found.order_by()[: COUNTED + 1].count()
    if counted <= COUNTED:
        return counted
    return None if filtered else _by_keys(found)


class Counted(Subquery):
    """How many rows a query has, in a column."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = models.IntegerField()


def with_extent(found: Any, *, filtered: bool) -> Any:
    """Have each row bring along what `about_rows` says of all, so that it takes no other question."""
    newest = found.order_by("-pk").values("pk")
    told = found.annotate(counted=Counted(newest[: SAID + 1]))
    if filtered:
        return told
    oldest = found.order_by("pk").values("pk")
    return told.annotate(first_key=Subquery(oldest[:1]), last_key=Subquery(newest[:1]))


def about_rows(rows: list[Any], *, filtered: bool) -> str:
    """Say how many rows there are, as `about` does, of rows read `with_extent`."""
    if not rows:
        return ""
    keys = None if filtered else rows[0].last_key - rows[0].first_key + 1
    return _in_words(rows[0].counted, keys)


def _by_keys(found: models.QuerySet[Any]) -> int:
    ends = found.order_by().aggregate(first=Min("pk"), last=Max("pk"))
    return int(ends["last"] - ends["first"]) + 1 if ends["last"] is not None else 0


def about(found: models.QuerySet[Any], *, filtered: bool) -> str:
    """Say how many rows there are, without counting for long: exact up to `SAID` of them.

    Beyond that an unfiltered table is judged by its keys.
    """
    keys = None if filtered else _by_keys(found)
    counted = found.order_by("-pk")[: SAID + 1].count()  # the newest, as the page itself
    return _in_words(counted, keys)


def _in_words(counted: int, keys: int | None) -> str:
    if counted <= SAID:
        return f"{counted:,} row{'' if counted == 1 else 's'}"
    return f"more than {SAID:,} rows" if keys is None else f"about {keys:,} rows"
