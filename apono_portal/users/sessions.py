"""Server-side sessions as Django keeps them, with fewer statements on the way in and out.

A session is read with one prepared query. One that gets a new key, at sign-in or at a right code,
is moved to it by one UPDATE when it is saved, where Django asks, inserts, reads, deletes and saves
again. A session that was ended meanwhile is not brought back: the UPDATE finds no row.
"""

from datetime import datetime
from typing import Any

from django.contrib.sessions.backends.base import VALID_KEY_CHARS, UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import get_random_string

from apono_portal.core.db.prepared import prepared, prepared_update

KEY_LENGTH = 32  # of 36 letters: 165 bits


@prepared(str)
def _stored(key: str) -> QuerySet[Any, Any]:
    rows = Session.objects.filter(session_key=key)
    return rows.values_list("session_data", "expire_date")


@prepared_update(str, str, str, datetime)
def _move(
    former: str, key: str, data: str, expires_at: datetime
) -> tuple[QuerySet[Session], dict[str, Any]]:
    moved = {"session_key": key, "session_data": data, "expire_date": expires_at}
    return Session.objects.filter(session_key=former), moved


class SessionStore(DatabaseStore):
    """``SESSION_ENGINE`` names this module."""

    _former_key: str | None = None

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def load(self) -> dict[str, Any]:
        found = _stored.first(self.session_key) if self.session_key else None
        if found is None or found[1] <= timezone.now():
            self._session_key = None
            return {}
        return self.decode(found[0])

    def cycle_key(self) -> None:
        """Give the session another key; the stored one moves to it with the next save."""
        self.keys()  # reads it, and forgets a key that was not given out by us
        if self.session_key is not None:
            self._former_key = self._former_key or self.session_key
            self._session_key = get_random_string(KEY_LENGTH, VALID_KEY_CHARS)
        self.modified = True

    def save(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's
        former, self._former_key = self._former_key, None
        if former is None or must_create:
            super().save(must_create=must_create)
            return
        moved = self.create_model_instance(dict(self.items()))
        if not _move(former, moved.session_key, moved.session_data, moved.expire_date):
            raise UpdateError

    def delete(self, session_key: str | None = None) -> None:
        """End the session, also one whose new key is not stored yet."""
        former, self._former_key = self._former_key, None
        super().delete(former if session_key is None and former else session_key)
