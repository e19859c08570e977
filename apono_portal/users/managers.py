"""Finding and making people."""

import unicodedata
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import BaseUserManager
from django.db import models

from apono_portal.users.search import MOST_WORDS, folded_words

if TYPE_CHECKING:
    from apono_portal.users.models import User  # noqa: F401


def normalise_email(text: str) -> str:
    """Return an e-mail address as it is kept: NFKC, lower case, without blanks around it."""
    return unicodedata.normalize("NFKC", text).strip().lower()


class UserQuerySet(models.QuerySet["User"]):
    def active(self) -> "UserQuerySet":
        return self.filter(is_active=True)

    def account_admins(self) -> "UserQuerySet":
        return self.active().filter(role="admin")

    def matching(self, text: str, *, by: str = "begins_words") -> "UserQuerySet":
        """People of whose name or e-mail address a word begins with each word of ``text``.

        ``by`` says how they are found: by an index, or "looks_like" where few are to be looked at.
        """
        if not text.strip():
            return self.all()
        words = folded_words(text)[:MOST_WORDS]
        return self.filter(**{f"search_words__{by}": words}) if words else self.none()


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    use_in_migrations = False

    def get_by_natural_key(self, username: str | None) -> Any:
        """Find by the normalised address: what a database takes for the same letter varies."""
        return self.get(email=normalise_email(username or ""))

    def create_user(self, email: str, name: str, password: str | None = None, **fields: Any) -> Any:
        user = self.model(email=normalise_email(email), name=name, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user
