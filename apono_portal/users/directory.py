"""The list of people in the order of their names, page by page, read by key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import IntegerField, Q, Subquery, Value
from django.db.models.functions import Coalesce, Concat
from django.utils import timezone

from accessflows.flows.mfa_requirement import enrolled, in_need_of_mfa
from apono_portal.core.db.prepared import Prepared, prepared
from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.users.models import User
from apono_portal.users.selectors import Known

if TYPE_CHECKING:
    from apono_portal.users.managers import UserQuerySet

PAGE_SIZE = 25
SHOWN = ("name", "email", "role", "is_active", "last_login")
COUNTED = 1000
WINDOW = 15_000
UP_TO = {"gt": "search_words__lte", "lt": "search_words__gte"}


class CountSubquery(Subquery):
    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


@dataclass(frozen=True)
class Page:
    """Some people, and those from whom on the pages beside it are read."""

    people: list[User]
    before: int | None
    after: int | None
    was_searched: bool


class Choice(NamedTuple):
    """What people are narrowed to by choices, of which there are few."""

    role: str = ""
    status: str = ""
    mfa: str = ""

    def of(self, people: "UserQuerySet") -> "UserQuerySet":
        if self.role:
            people = people.filter(role=self.role)
        if self.status:
            people = people.filter(is_active=self.status == "active")
        if self.mfa == "in_need":
            people = in_need_of_mfa(people)  # type: ignore[assignment]
        elif self.mfa:
            people = people.filter(enrolled() if self.mfa == "set_up" else ~enrolled())
        return people


@dataclass(frozen=True)
class Asked:
    """Which people are asked for: by a choice, by words, among those of some numbers."""

    choice: Choice
    words: str = ""
    among: frozenset[int] | None = None

    @property
    def is_searched(self) -> bool:
        """Whether no index holds those asked for in their order, so that they have to be looked for."""
        return bool(self.words or self.choice.mfa) or self.among is not None

    @property
    def is_a_choice(self) -> bool:
        return not self.words and self.among is None

    def found(self, *, by: str = "begins_words") -> "UserQuerySet":
        people = self.choice.of(User.objects.all())
        if self.among is not None:
            people = people.filter(pk__in=self.among)
        return people.matching(self.words, by=by)


def page_of(asked: Asked, *, before: int | None, after: int | None) -> Page:
    """Return the people who come after a person, or before, or first of all.

    Page 1,000 costs what page 1 does. A person who is not there any more leads to the beginning.
    """
    if before is not None:
        people = _next(asked, before, "lt")
        more, people = len(people) > PAGE_SIZE, people[:PAGE_SIZE][::-1]
        page = _page(people, asked.is_searched, has_before=more, has_after=True)
    else:
        people = _next(asked, after, "gt")
        more, people = len(people) > PAGE_SIZE, people[:PAGE_SIZE]
        page = _page(people, asked.is_searched, has_before=after is not None, has_after=more)
    if people or (before is None and after is None):
        return page
    return page_of(asked, before=None, after=None)


def _next(asked: Asked, pk: int | None, way: str) -> list[User]:
    """Return the next people, one more than a page shows. The first of a choice are prepared for.

    Whoever must be looked for is looked for by whichever way is quick: along the order, as far as the
    next `WINDOW` people go, which answers when many match. When few do, or few people are left, all who
    match are sorted, since to go on until a page is full is slow just when what was typed is a name
    that comes late in the order.
    """
    first = _first_of(asked.choice) if asked.is_a_choice and pk is None else None
    people = first() if first else list(_along(asked, pk, way))
    if len(people) > PAGE_SIZE or not asked.is_searched:
        return people
    return list(_sorted(_beyond(asked.found(), pk, way), way).only(*SHOWN)[: PAGE_SIZE + 1])


@cache
def _first_of(choice: Choice) -> Prepared:
    return prepared()(lambda: _along(Asked(choice), None, "gt"))


def _along(asked: Asked, pk: int | None, way: str) -> "UserQuerySet":
    """Along the order: by an index that holds it, or through the people nearby. Whom words mean the
    index of the order tells alone, so that only those on the page are read."""
    if asked.words:
        numbers = _near(asked, pk, way).values("pk")[: PAGE_SIZE + 1]
        return _in_order(User.objects.filter(pk__in=numbers), way).only(*SHOWN)
    people = _near(asked, pk, way) if asked.is_searched else _walk(asked.found(), pk, way)
    return people.only(*SHOWN)[: PAGE_SIZE + 1]


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
    tell, zone = relative_datetime, timezone.get_current_timezone()
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
    """In the order of an index, with how many are found in all."""
    counted = CountSubquery(found.order_by().values("pk")[: COUNTED + 1])
    return _in_order(_beyond(found, pk, way), way).annotate(counted=counted)


def _near(asked: Asked, pk: int | None, way: str) -> "UserQuerySet":
    """Among the next `WINDOW` people, or all there are, asked for in a way that suits a look at a few."""
    everybody = _in_order(_beyond(User.objects.all(), pk, way), way).values("search_words")
    end = _in_order(User.objects.all(), "lt" if way == "gt" else "gt").values("search_words")
    last = Coalesce(Subquery(everybody[WINDOW : WINDOW + 1]), Subquery(end[:1]))
    found = _in_order(_beyond(asked.found(by="looks_like"), pk, way), way)
    return found.filter(**{UP_TO[way]: last})


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
