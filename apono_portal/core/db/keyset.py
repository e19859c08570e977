"""Keyset pagination, newest first: page 1,000 costs what page 1 does."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from django.db import models
from django.db.models import Max, Min, Q

PAGE_SIZE = 25
BATCH_SIZE = 1000
MAX_ID = 2**63 - 1
EXACT_COUNT_LIMIT = 1000  # rows counted for the text on a page
EXPORT_LIMIT = 10_000  # rows counted for the progress of an export


class Keyed(Protocol):
    """A row with its key."""

    @property
    def pk(self) -> Any: ...


Row = TypeVar("Row", bound=Keyed)
Leading = tuple[str, Any]
AnyQuerySet = models.QuerySet[models.Model, object]


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows, newest first, and the keys that the pages on either side start from."""

    rows: list[Row]
    newer_than: int | None
    older_than: int | None


def page_of(
    queryset: models.QuerySet[models.Model, Row],
    *,
    before: int | None,
    after: int | None,
    order: str = "pk",
    leading: Leading | None = None,
) -> Page[Row]:
    """Return the page of rows older than the key ``before``, newer than ``after``, or the newest.

    Rows are models, or named tuples with ``pk``. ``order`` names an expression that sorts as the key does.
    """
    next_rows = following(queryset, before=before, after=after, order=order, leading=leading)
    rows = list(next_rows[: PAGE_SIZE + 1])
    has_more, rows = len(rows) > PAGE_SIZE, rows[:PAGE_SIZE]
    if after is not None:
        has_newer, has_older, rows = has_more, True, rows[::-1]
    else:
        has_newer, has_older = before is not None, has_more
    return Page(
        rows=rows,
        newer_than=rows[0].pk if rows and has_newer else None,
        older_than=rows[-1].pk if rows and has_older else None,
    )


def following(
    queryset: models.QuerySet[models.Model, Row],
    *,
    before: int | UUID | None,
    after: int | UUID | None,
    order: str = "pk",
    leading: Leading | None = None,
) -> models.QuerySet[models.Model, Row]:
    """Return all rows from such a place on, the nearest first.

    ``leading`` is a column to sort by before the key, and its value in the row with that key.
    """
    side, key = ("lt", before) if after is None else ("gt", after)
    beyond = Q() if key is None else Q(**{f"pk__{side}": key})
    if leading and key is not None:
        column, value = leading
        beyond = Q(**{f"{column}__{side}e": value}) & (Q(**{f"{column}__{side}": value}) | beyond)
    rows = queryset.filter(beyond).order_by(*([leading[0]] if leading else []), order)
    return rows if after is not None else rows.reverse()


def iter_batches(queryset: models.QuerySet[models.Model, Row]) -> Iterator[list[Row]]:
    """Yield all rows, oldest first, holding one batch in memory."""
    rest = queryset.order_by("pk")
    while batch := list(rest[:BATCH_SIZE]):
        yield batch
        rest = queryset.filter(pk__gt=batch[-1].pk).order_by("pk")


def estimate_count(queryset: AnyQuerySet, *, is_filtered: bool) -> int | None:
    """Return how many rows there are; beyond `EXPORT_LIMIT` an estimate, or None if filtered."""
    count = queryset.order_by()[: EXPORT_LIMIT + 1].count()
    if count <= EXPORT_LIMIT:
        return count
    return None if is_filtered else _key_range(queryset)


def total_text(queryset: AnyQuerySet, *, is_filtered: bool, order: str = "-pk") -> str:
    """Return "12 rows", "about 1,234,000 rows" or, if filtered, "more than 1,000 rows"."""
    count = queryset.order_by(order)[: EXACT_COUNT_LIMIT + 1].count()
    if count <= EXACT_COUNT_LIMIT:
        return count_text(count)
    if is_filtered:
        return f"more than {EXACT_COUNT_LIMIT:,} rows"
    return f"about {_key_range(queryset):,} rows"


def count_text(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _key_range(queryset: AnyQuerySet) -> int:
    """Return the number of keys from the first row to the last."""
    keys = queryset.order_by().aggregate(first=Min("pk"), last=Max("pk"))
    return int(keys["last"] - keys["first"]) + 1 if keys["last"] is not None else 0
