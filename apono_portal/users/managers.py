"""User querysets and creation."""

import unicodedata
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import BaseUserManager
from django.db import models
from django.db.models import Value
from django.db.models.functions import Concat

from apono_portal.users.search import MAX_WORDS, split_words

if TYPE_CHECKING:
    from apono_portal.users.models import User

    BaseManager = BaseUserManager["User"]
else:
    BaseManager = BaseUserManager


SCAN_LIMIT = 15_000  # users a search scans in order before it sorts all matches


def normalise_email(text: str) -> str:
    """Return an email as it is stored: NFKC, lower case, stripped."""
    return unicodedata.normalize("NFKC", text).strip().lower()


class UserQuerySet(models.QuerySet["User"]):
    def active(self) -> "UserQuerySet":
        return self.filter(is_active=True)

    def account_admins(self) -> "UserQuerySet":
        return self.active().filter(role="admin")

    def matching(self, text: str, *, lookup: str = "word_search") -> "UserQuerySet":
        """Return the users with a word in name or email starting with each word of ``text``.

        ``lookup`` is a lookup of apono_portal/users/search.py.
        """
        if not text.strip():
            return self.all()
        words = split_words(text)[:MAX_WORDS]
        return self.filter(**{f"search_words__{lookup}": words}) if words else self.none()

    def first_matching(self, text: str, limit: int) -> "list[User]":
        """Return up to ``limit`` users that match ``text``, in order of their words.

        The next `SCAN_LIMIT` users in order are scanned, which is enough if many match; otherwise few
        do, and all of them are sorted. Either way the cost does not follow the number of users.
        """
        ordered = self.order_by("search_words", "pk")
        bound = ordered.values_list("search_words", flat=True)[SCAN_LIMIT : SCAN_LIMIT + 1].first()
        near = ordered if bound is None else ordered.filter(search_words__lte=bound)
        users = list(near.matching(text, lookup="word_scan")[:limit])
        if bound is None or len(users) == limit:
            return users
        by_expression = Concat("search_words", Value(""))  # no index has this order
        return list(self.matching(text).order_by(by_expression, "pk")[:limit])


class UserManager(BaseManager):
    def get_by_natural_key(self, username: str | None) -> "User":
        """Look up the normalised email: databases differ in which letters they take as equal."""
        return self.get(email=normalise_email(username or ""))

    def create_user(
        self, email: str, name: str, password: str | None = None, **fields: Any
    ) -> "User":
        user = self.model(email=normalise_email(email), name=name, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user
