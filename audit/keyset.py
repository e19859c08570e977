"""Pages and batches read by key, newest first: page 1,000 costs what page 1 does."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import models
from django.db.models import Max, Min

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
    found: models.QuerySet[Row],
    *,
    before: int | None,
    after: int | None,
    size: int = PAGE_SIZE,
    order: str = "pk",
) -> Page[Row]:
    """Return the rows next to a key.

    ``before`` asks for older rows than that key, ``after`` for newer ones, neither for the newest.
    ``order`` names what has the order of the keys.
    """
    if after is not None:
        rows = list(found.filter(pk__gt=after).order_by(order)[: size + 1])
        return _page(rows[:size][::-1], has_newer=len(rows) > size, has_older=True)
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found.order_by(f"-{order}")[: size + 1])
    return _page(rows[:size], has_newer=before is not None, has_older=len(rows) > size)


def _page(rows: list[Row], *, has_newer: bool, has_older: bool) -> Page[Row]:
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


def _by_keys(found: models.QuerySet[Any]) -> int:
    ends = found.order_by().aggregate(first=Min("pk"), last=Max("pk"))
    return int(ends["last"] - ends["first"]) + 1 if ends["last"] is not None else 0


def about(found: models.QuerySet[Any], *, filtered: bool) -> str:
    """Say how many rows there are, without counting for long: exact up to `SAID` of them.

    Beyond that an unfiltered table is judged by its keys. They are read at every size, so that a page
    asks as much of a small portal as of a large one.
    """
    keys = None if filtered else _by_keys(found)
    counted = found.order_by("-pk")[: SAID + 1].count()  # the newest, as the page itself
    if counted <= SAID:
        return f"{counted:,} row{'' if counted == 1 else 's'}"
    return f"more than {SAID:,} rows" if keys is None else f"about {keys:,} rows"
