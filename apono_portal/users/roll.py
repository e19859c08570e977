"""The list of people in the order of their names, page by page, read by key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.models import Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Concat
from django.utils import timezone

from apono_portal.users.models import User
from apono_portal.users.selectors import Known
from audit.keyset import Counted
from audit.prepared import prepared
from requests_app.templatetags.moments import teller

if TYPE_CHECKING:
    from apono_portal.users.managers import UserQuerySet

PAGE_SIZE = 25
SHOWN = ("name", "email", "role", "is_active", "last_login")
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
    all_of_them: bool = False,
) -> Page:
    """Return the people who come after a person, or before, or first of all.

    Page 1,000 costs what page 1 does. A person who is not there any more leads to the beginning.
    ``nearby`` are the same people, asked for in a way that suits a look at a few: those must be
    searched for, since no index has them in their order. ``all_of_them``: nothing narrows the list.
    """
    searched = nearby is not None
    look = _walk if nearby is None else partial(_search, nearby)
    if all_of_them and before is None and after is None:
        people = _first_of_all()
        page = _page(
            people[:PAGE_SIZE], searched, has_before=False, has_after=len(people) > PAGE_SIZE
        )
    elif before is not None:
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


@prepared()
def _first_of_all() -> QuerySet[User]:
    return _walk(User.objects.all(), None, "gt")[: PAGE_SIZE + 1]


def span_of(page: Page) -> str:
    """Say how many people there are, or from whom to whom the page goes.

    Only the first page of a list that an index holds is worth a count, which stops at `COUNTED`.
    """
    if page.before or (page.after and page.was_searched):
        return f"{page.people[0].name} to {page.people[-1].name}"
    counted = page.people and not page.was_searched
    count: int = page.people[0].counted if counted else len(page.people)  # type: ignore[attr-defined]
    if count > COUNTED:
        return f"More than {COUNTED:,} people"
    return f"{count:,} {'person' if count == 1 else 'people'}"


def rows_of(people: list[User], known: Mapping[int, Known]) -> list[dict[str, Any]]:
    """Return people as the list shows them: plain words."""
    tell, zone = teller(), timezone.get_current_timezone()
    return [_row(each, known[each.pk], tell, zone) for each in people]


def _row(
    person: User, known: Known, tell: Callable[[datetime | None], str], zone: tzinfo
) -> dict[str, Any]:
    return {
        "pk": person.pk,
        "name": person.name,
        "email": person.email,
        "initials": person.initials,
        "role": person.get_role_display(),
        "groups": ", ".join(known.groups),
        "active": person.is_active,
        "held_off": known.held_off,
        "enrolled": known.authenticator is not None,
        "verified": tell(known.verified_at),
        "verified_at": _instant(known.verified_at, zone),
        "signed_in": tell(person.last_login),
        "signed_in_at": _instant(person.last_login, zone),
    }


def _instant(at: datetime | None, zone: tzinfo) -> str:
    return at.astimezone(zone).isoformat() if at else ""


def _walk(found: "UserQuerySet", pk: int | None, way: str) -> "UserQuerySet":
    """Along an index, with how many are found in all."""
    counted = Counted(found.order_by().values("pk")[: COUNTED + 1])
    return _in_order(_beyond(found, pk, way), way).annotate(counted=counted).only(*SHOWN)


def _search(
    nearby: "UserQuerySet", found: "UserQuerySet", pk: int | None, way: str
) -> "UserQuerySet":
    """Return the same people by whichever way is quick.

    They are looked for along the order, as far as the next `WINDOW` people go: that answers when
    many match. When few do, or few people are left, all who match are sorted, since to go on until a page
    is full is slow just when what was typed is a name that comes late in the order.
    """
    everybody = _in_order(_beyond(User.objects.all(), pk, way), way).values("search_words")
    end = _in_order(User.objects.all(), "lt" if way == "gt" else "gt").values("search_words")
    last = Coalesce(Subquery(everybody[WINDOW : WINDOW + 1]), Subquery(end[:1]))
    near = _in_order(_beyond(nearby, pk, way), way).filter(**{UP_TO[way]: last}).only(*SHOWN)
    page = near[: PAGE_SIZE + 1]
    return page if len(page) > PAGE_SIZE else _sorted(_beyond(found, pk, way), way).only(*SHOWN)


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
