"""The list of people in the order of their names, page by page, read by key."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import F, Q, Value
from django.db.models.functions import Concat

from apono_portal.users.models import User

if TYPE_CHECKING:
    from apono_portal.users.managers import UserQuerySet

PAGE_SIZE = 50
COUNTED = 10_000
KEY = ("search_words", "pk")


@dataclass(frozen=True)
class Page:
    """Some people, and those from whom on the pages beside it are read."""

    people: list[User]
    before: int | None
    after: int | None


def page_of(
    found: "UserQuerySet", *, before: int | None, after: int | None, searched: bool = False
) -> Page:
    """Return the people who come after a person, or before, or first of all.

    Page 1,000 costs what page 1 does. A person who is not there any more leads to the beginning.
    Who was ``searched`` for is sorted: to go through all people in their order until 50 match is
    slow just when what was typed is a name that comes late in it.
    """
    place = Concat("search_words", Value("")) if searched else F("search_words")
    if before is not None and (key := _key_of(before)):
        back = _beyond(found, key, "lt").order_by(place.desc(), "-pk")
        people = list(back[: PAGE_SIZE + 1])
        return _page(people[:PAGE_SIZE][::-1], has_before=len(people) > PAGE_SIZE, has_after=True)
    key = _key_of(after) if after is not None else None
    rest = _beyond(found, key, "gt") if key else found
    people = list(rest.order_by(place.asc(), "pk")[: PAGE_SIZE + 1])
    return _page(people[:PAGE_SIZE], has_before=key is not None, has_after=len(people) > PAGE_SIZE)


def span_of(page: Page, found: "UserQuerySet") -> str:
    """Say on the first page how many people there are, without counting for long; then from whom to whom."""
    if page.before is not None:
        return f"{page.people[0].name} to {page.people[-1].name}"
    count = found.order_by()[: COUNTED + 1].count() if page.after else len(page.people)
    if count > COUNTED:
        return f"More than {COUNTED:,} people"
    return f"{count:,} {'person' if count == 1 else 'people'}"


def _page(people: Sequence[User], *, has_before: bool, has_after: bool) -> Page:
    return Page(
        people=list(people),
        before=people[0].pk if people and has_before else None,
        after=people[-1].pk if people and has_after else None,
    )


def _key_of(pk: int) -> tuple[str, int] | None:
    found: tuple[str, int] | None = User.objects.filter(pk=pk).values_list(*KEY).first()
    return found


def _beyond(found: "UserQuerySet", key: tuple[str, int], way: str) -> "UserQuerySet":
    """Return those on one side of a key. The first filter is the one an index begins with."""
    words, pk = key
    beyond = Q(**{f"search_words__{way}": words}) | Q(**{"search_words": words, f"pk__{way}": pk})
    return found.filter(**{f"search_words__{way}e": words}).filter(beyond)
