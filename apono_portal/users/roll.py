"""The list of people in the order of their names, page by page, read by key."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.models import Q, Subquery, Value
from django.db.models.functions import Concat

from apono_portal.users.models import User

if TYPE_CHECKING:
    from apono_portal.users.managers import UserQuerySet

PAGE_SIZE = 25
COUNTED = 1000
WINDOW = 15_000
UP_TO = {"gt": "search_words__lte", "lt": "search_words__gte"}


@dataclass(frozen=True)
class Page:
    """Some people, and those from whom on the pages beside it are read."""

    people: list[User]
    before: int | None
    after: int | None
    was_searched: bool


def page_of(
    found: "UserQuerySet",
    *,
    before: int | None,
    after: int | None,
    nearby: "UserQuerySet | None" = None,
) -> Page:
    """Return the people who come after a person, or before, or first of all.

    Page 1,000 costs what page 1 does. A person who is not there any more leads to the beginning.
    ``nearby`` are the same people, asked for in a way that suits a look at a few: those must be
    searched for, since no index has them in their order.
    """
    searched = nearby is not None
    look = _walk if nearby is None else partial(_search, nearby)
    if before is not None:
        people = list(look(found, before, "lt")[: PAGE_SIZE + 1])
        more, people = len(people) > PAGE_SIZE, people[:PAGE_SIZE][::-1]
        page = _page(people, searched, has_before=more, has_after=True)
    else:
        people = list(look(found, after, "gt")[: PAGE_SIZE + 1])
        more, people = len(people) > PAGE_SIZE, people[:PAGE_SIZE]
        page = _page(people, searched, has_before=after is not None, has_after=more)
    if people or (before is None and after is None):
        return page
    return page_of(found, before=None, after=None, nearby=nearby)


def span_of(page: Page, found: "UserQuerySet") -> str:
    """Say how many people there are, or from whom to whom the page goes.

    Only the first page of a list that an index holds is worth a count, which stops at `COUNTED`.
    """
    if page.before or (page.after and page.was_searched):
        return f"{page.people[0].name} to {page.people[-1].name}"
    count = len(page.people) if page.was_searched else found.order_by()[: COUNTED + 1].count()
    if count > COUNTED:
        return f"More than {COUNTED:,} people"
    return f"{count:,} {'person' if count == 1 else 'people'}"


def rows_of(
    people: list[User],
    seen: Mapping[int, tuple[int | None, datetime | None]],
    groups: Mapping[int, list[str]],
    held_off: Collection[int],
) -> list[dict[str, Any]]:
    """Return people as the list shows them: plain words."""
    return [
        _row(each, *seen[each.pk], groups.get(each.pk, []), each.pk in held_off) for each in people
    ]


def _row(
    person: User,
    authenticator: int | None,
    verified_at: datetime | None,
    groups: list[str],
    held_off: bool,  # noqa: FBT001
) -> dict[str, Any]:
    return {
        "pk": person.pk,
        "name": person.name,
        "email": person.email,
        "initials": person.initials,
        "role": person.get_role_display(),
        "groups": ", ".join(groups),
        "active": person.is_active,
        "held_off": held_off,
        "enrolled": authenticator is not None,
        "verified_at": verified_at,
        "signed_in_at": person.last_login,
    }


def _walk(found: "UserQuerySet", pk: int | None, way: str) -> "UserQuerySet":
    return _in_order(_beyond(found, pk, way), way)


def _search(
    nearby: "UserQuerySet", found: "UserQuerySet", pk: int | None, way: str
) -> "UserQuerySet":
    """Return the same people by whichever way is quick.

    They are looked for along the order, as far as the next `WINDOW` people go: that answers when
    many match. When few do, or few people are left, all who match are sorted, since to go on until a page
    is full is slow just when what was typed is a name that comes late in the order.
    """
    last = _walk(User.objects.all(), pk, way).values("search_words")[WINDOW : WINDOW + 1]
    near = _walk(nearby, pk, way).filter(**{UP_TO[way]: Subquery(last)})
    numbers = list(near.values_list("pk", flat=True)[: PAGE_SIZE + 1])
    if len(numbers) > PAGE_SIZE:
        return _in_order(User.objects.filter(pk__in=numbers), way)
    return _sorted(_beyond(found, pk, way), way)


def _in_order(people: "UserQuerySet", way: str) -> "UserQuerySet":
    return people.order_by(*(["search_words", "pk"] if way == "gt" else ["-search_words", "-pk"]))


def _sorted(people: "UserQuerySet", way: str) -> "UserQuerySet":
    """The same order, in words no index has, so that none tempts the planner to walk along it."""
    words = Concat("search_words", Value(""))
    return people.order_by(words if way == "gt" else words.desc(), "pk" if way == "gt" else "-pk")


def _page(people: list[User], was_searched: bool, *, has_before: bool, has_after: bool) -> Page:  # noqa: FBT001
    return Page(
        people=people,
        before=people[0].pk if people and has_before else None,
        after=people[-1].pk if people and has_after else None,
        was_searched=was_searched,
    )


def _beyond(people: "UserQuerySet", pk: int | None, way: str) -> "UserQuerySet":
    """Return those on one side of a person. The first filter is the one an index begins with."""
    if pk is None:
        return people
    words = Subquery(User.objects.filter(pk=pk).values("search_words")[:1])
    beyond = Q(**{f"search_words__{way}": words}) | Q(**{"search_words": words, f"pk__{way}": pk})
    return people.filter(**{f"search_words__{way}e": words}).filter(beyond)
