"""The user directory: users in order of name, filtered, searched and paged by key."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q, Value
from django.db.models.functions import Concat

from accessflows.flows.mfa_requirement import (
    lacking_required_mfa,
    rare_lacking_required_mfa,
)
from apono_portal.users.managers import SCAN_LIMIT
from apono_portal.users.models import User
from apono_portal.users.selectors import with_mfa_and_groups
from mfa.methods.selectors import enrolled_condition, not_enrolled_condition

if TYPE_CHECKING:
    from apono_portal.users.managers import UserQuerySet

PAGE_SIZE = 25
EXACT_COUNT_LIMIT = 1000


@dataclass(frozen=True)
class DirectoryFilter:
    """Which users to list: by search text, role, status, MFA, group, or among given ones."""

    text: str = ""
    role: str = ""
    status: str = ""
    mfa: str = ""
    user_ids: frozenset[int] | None = None
    group_id: int | None = None

    @property
    def is_search(self) -> bool:
        """Whether no index returns these users in order."""
        is_among_few = self.user_ids is not None or self.group_id is not None
        return bool(self.text or self.mfa) or is_among_few

    def apply(self, users: "UserQuerySet", *, scan: bool = False) -> "UserQuerySet":
        """Filter users through indexes, or one after another if ``scan``, which suits a few."""
        if self.user_ids is not None:
            users = users.filter(pk__in=self.user_ids)
        if self.group_id is not None:
            members = User.groups.through._default_manager.filter(group_id=self.group_id)
            users = users.filter(pk__in=members.values("user_id"))
        if self.role:
            users = users.filter(role=self.role)
        if self.status:
            users = users.filter(is_active=self.status == "active")
        if self.mfa == "required":
            lacking_mfa = lacking_required_mfa if scan else rare_lacking_required_mfa
            users = lacking_mfa(users)  # type: ignore[assignment]
        elif self.mfa:
            users = users.filter(
                enrolled_condition() if self.mfa == "set_up" else not_enrolled_condition()
            )
        return users.matching(self.text, lookup="word_scan" if scan else "word_search")


@dataclass(frozen=True)
class DirectoryPage:
    """Users, and those from which the pages on either side start."""

    users: list[User]
    before: int | None
    after: int | None
    summary: str


@dataclass(frozen=True)
class DirectoryQuery:
    """The users that follow ``start`` in order of name, or precede it if ``backwards``."""

    filters: DirectoryFilter
    start: User | None = None
    backwards: bool = False

    def fetch(self) -> list[User]:
        """Return up to one user more than a page shows.

        A search first scans the next `SCAN_LIMIT` users in order, which fills a page if many match.
        If it does not, few match, and all of them are sorted: scanning on until the page is full is
        slow for a name late in the order.
        """
        if not self.filters.is_search:
            return self._page(self._ordered(self.filters.apply(User.objects.all())))
        users = self._page(self.filters.apply(self._next_users(), scan=True))
        if len(users) > PAGE_SIZE:
            return users
        return self._page(self._sorted(self.filters.apply(User.objects.all())))

    def _next_users(self) -> "UserQuerySet":
        users = self._ordered(User.objects.all())
        words = users.values_list("search_words", flat=True)[SCAN_LIMIT : SCAN_LIMIT + 1].first()
        if words is None:
            return users
        bound = "search_words__gte" if self.backwards else "search_words__lte"
        return users.filter(**{bound: words})

    def _ordered(self, users: "UserQuerySet") -> "UserQuerySet":
        users = self._after_start(users).order_by("search_words", "pk")
        return users.reverse() if self.backwards else users

    def _sorted(self, users: "UserQuerySet") -> "UserQuerySet":
        """Order by an expression without an index, so that PostgreSQL sorts rather than scans."""
        users = self._after_start(users).order_by(Concat("search_words", Value("")), "pk")
        return users.reverse() if self.backwards else users

    def _after_start(self, users: "UserQuerySet") -> "UserQuerySet":
        if self.start is None:
            return users
        words, pk = self.start.search_words, self.start.pk
        if self.backwards:
            users = users.filter(search_words__lte=words)
            return users.filter(Q(search_words__lt=words) | Q(pk__lt=pk))
        users = users.filter(search_words__gte=words)
        return users.filter(Q(search_words__gt=words) | Q(pk__gt=pk))

    def _page(self, users: "UserQuerySet") -> list[User]:
        return list(with_mfa_and_groups(users)[: PAGE_SIZE + 1])


def directory_page(
    filters: DirectoryFilter, *, before: int | None = None, after: int | None = None
) -> DirectoryPage:
    """Return the page that ends before a user, starts after one, or comes first.

    A user who no longer exists, or has nobody on that side, leads to the first page.
    """
    pk = after if before is None else before
    start = User.objects.filter(pk=pk).first() if pk is not None else None
    backwards = start is not None and before is not None
    users = DirectoryQuery(filters, start, backwards).fetch()
    if start and not users:
        return directory_page(filters)
    has_more, users = len(users) > PAGE_SIZE, users[:PAGE_SIZE]
    if backwards:
        users.reverse()
    has_previous = has_more if backwards else start is not None
    has_next = backwards or has_more
    return DirectoryPage(
        users=users,
        before=users[0].pk if has_previous else None,
        after=users[-1].pk if has_next else None,
        summary=_summary(filters, users, has_previous=has_previous, has_next=has_next),
    )


def _summary(
    filters: DirectoryFilter, users: list[User], *, has_previous: bool, has_next: bool
) -> str:
    """Return how many users there are or, where counting takes long, who is first and last here."""
    if has_previous or (has_next and filters.is_search):
        return f"{users[0].name} to {users[-1].name}"
    count = len(users)
    if has_next:
        count = filters.apply(User.objects.all()).order_by()[: EXACT_COUNT_LIMIT + 1].count()
    if count > EXACT_COUNT_LIMIT:
        return f"More than {EXACT_COUNT_LIMIT:,} users"
    return f"{count:,} user{'' if count == 1 else 's'}"
