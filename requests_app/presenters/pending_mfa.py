"""The list of pending_mfa requests under the code."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from requests_app.presenters.request import Row


@dataclass(frozen=True)
class ParkedRow:
    """A pending_mfa request in the list under the code. ``elsewhere`` is empty if it was made here."""

    row: Row
    elsewhere: str
    left_out: bool


def parked_rows(
    rows: Iterable[Row], elsewhere: dict[int, str], left_out: Collection[int]
) -> list[ParkedRow]:
    return [
        ParkedRow(row, elsewhere.get(row.request.pk, ""), row.request.pk in left_out)
        for row in rows
    ]
