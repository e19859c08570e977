"""Server-side sessions of Django with an idle timeout, and with fewer statements.

A session ends `SESSION_IDLE` after its user's last request, and `SESSION_COOKIE_AGE` after the sign-in in any
case. The earlier of the two is stored as its expiry.

While it lasts a session's key is as good as a password, so the table has a hash of it, and the content is
signed for that key: a row copied to another key is empty.

A session that gets a new key, at sign-in or at a correct code, is moved to it by one UPDATE when it
is saved; Django needs eight statements. A session that was ended meanwhile is not brought back: the
UPDATE finds no row.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import CharField
from django.utils import timezone
from django.utils.crypto import get_random_string, salted_hmac

from apono_portal.core.db.compiled_query import CompiledQuery
from apono_portal.sso.models import ProviderSession
from apono_portal.users.models import SignedInDevice

BEGAN_AT = "began_at"
PROVIDER_SESSION = "sso_session"  # the row of a session that an identity provider began
DEVICE = "device"  # the row by which the session is listed
TOUCH_INTERVAL = timedelta(minutes=1)  # at most one write a minute for an active user
KEY_LENGTH = 32  # of 36 characters: 165 bits
HASH_LENGTH = 40  # of 16 characters, which the table has room for: 160 bits

_session = CompiledQuery(lambda key: Session.objects.filter(session_key=key), CharField())


def hash_of(key: str) -> str:
    """Return what the table has in place of a session's key."""
    return salted_hmac("users.sessions", key, algorithm="sha256").hexdigest()[:HASH_LENGTH]


class SessionStore(DatabaseStore):
    """``SESSION_ENGINE`` names this module."""

    _former_key: str | None = None
    _expires_at: datetime | None = None

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    @property
    def key_salt(self) -> str:
        return f"{super().key_salt}.{self.session_key}"

    def load(self) -> dict[str, Any]:
        session = _session.first(hash_of(self.session_key)) if self.session_key else None
        if session is None or session.expire_date <= timezone.now():
            self._session_key = None
            return {}
        self._expires_at = session.expire_date
        return self.decode(session.session_data)

    def exists(self, session_key: str) -> bool:
        return super().exists(hash_of(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        session = cast(Session, super().create_model_instance(data))
        session.session_key = hash_of(session.session_key)
        session.expire_date = self._next_expiry(data)
        return session

    def postpone_idle_timeout(self) -> bool:
        """Count the idle time from now, and return whether that was written.

        Only the expiry is written: the data may be another request's by now, and a window that was
        closed there must not come back.
        """
        if self.session_key is None or self._expires_at is None or self._former_key is not None:
            return False  # new, or about to be saved
        expires_at = self._next_expiry(self)
        if expires_at - self._expires_at < TOUCH_INTERVAL:
            return False
        row = Session.objects.filter(session_key=hash_of(self.session_key))
        return bool(row.update(expire_date=expires_at))

    def _next_expiry(self, data: Mapping[str, Any]) -> datetime:
        now = timezone.now()
        began_at = datetime.fromtimestamp(data.get(BEGAN_AT, now.timestamp()), UTC)
        oldest = began_at + timedelta(seconds=settings.SESSION_COOKIE_AGE)
        return min(now + settings.SESSION_IDLE, oldest)

    def cycle_key(self) -> None:
        """Give the session another key. The stored row moves to it with the next save."""
        self.keys()  # loads it, and drops a key that was not issued here
        if self.session_key is not None:
            self._former_key = self._former_key or self.session_key
            self._session_key = get_random_string(KEY_LENGTH, VALID_KEY_CHARS)
        self.modified = True

    def save(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's
        former, self._former_key = self._former_key, None
        if BEGAN_AT not in self:
            self[BEGAN_AT] = int(timezone.now().timestamp())
        if former is None or must_create:
            super().save(must_create=must_create)
            return
        session = self.create_model_instance(dict(self.items()))
        with self._rows_moved(session.session_key):
            moved = Session.objects.filter(session_key=hash_of(former)).update(
                session_key=session.session_key,
                session_data=session.session_data,
                expire_date=session.expire_date,
            )
        if not moved:
            raise UpdateError

    @contextmanager
    def _rows_moved(self, new_hash: str) -> Iterator[None]:
        """Take the rows along by which the session is listed and ended, in one transaction.

        Their locks come first: whoever ends the session meanwhile finds it under one key or the other.
        """
        device, provider_session = self.get(DEVICE), self.get(PROVIDER_SESSION)
        if device is None and provider_session is None:
            yield
            return
        with transaction.atomic():
            if device is not None:
                SignedInDevice.objects.filter(pk=device).update(
                    session_hash=new_hash, auth=self.get(HASH_SESSION_KEY, "")
                )
            if provider_session is not None:
                ProviderSession.objects.filter(pk=provider_session).update(session_hash=new_hash)
            yield

    def delete(self, session_key: str | None = None) -> None:
        """End the session, also one whose new key is not stored yet."""
        former, self._former_key = self._former_key, None
        key = session_key or former or self.session_key
        if key is not None:
            super().delete(hash_of(key))
            SignedInDevice.objects.filter(session_hash=hash_of(key)).delete()
