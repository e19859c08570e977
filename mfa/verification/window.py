"""The verified window: the hour after a success, in that session.

It is stored in the server-side session and counts only while everything it was made from still holds
(`WindowState`). Services that permit something check it again under the lock
(`mfa.verification.evidence`).
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import logout
from django.db.models import BigIntegerField, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from apono_portal.core.db.compiled_query import CompiledQuery
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from audit.events import EventName
from audit.services import record
from mfa.models import Authenticator, Verification

if TYPE_CHECKING:
    from apono_portal.users.models import User

SESSION_KEY = "mfa_window"

_authenticator_of = CompiledQuery(
    lambda user_id: Authenticator.objects.of(user_id).confirmed(), BigIntegerField()
)
_success = CompiledQuery(
    lambda pk: Verification.objects.passed().filter(pk=pk).order_by(), BigIntegerField()
)


@dataclass(frozen=True, slots=True)
class Window:
    """One success, as the session stores it.

    ``auth`` is the user's session hash at that time, so that any password change voids it.
    """

    user_id: int
    device_id: int
    epoch: int
    verified_at: datetime
    verification_id: int
    auth: str

    @property
    def closes_at(self) -> datetime:
        return self.verified_at + settings.MFA_WINDOW

    def is_open_at(self, now: datetime) -> bool:
        """Return whether ``now`` is in the hour. A clock that went backwards closes the window."""
        return timedelta(0) <= now - self.verified_at < settings.MFA_WINDOW

    def belongs_to(self, user: "User", epoch: int) -> bool:
        """Return whether it is this user's, of this epoch and of this password."""
        return (
            self.user_id == user.pk
            and self.epoch == epoch
            and constant_time_compare(self.auth, user.get_session_auth_hash())
        )


def with_authenticator(users: "QuerySet[User]") -> "QuerySet[User]":
    """Annotate users with their confirmed authenticator, for the `WindowState` of a request."""
    devices = Authenticator.objects.confirmed().filter(user=OuterRef("pk")).order_by("pk")
    return users.annotate(
        authenticator_id=Subquery(devices.values("pk")[:1]),
        authenticator_name=Subquery(devices.values("name")[:1]),
    )


def authenticator_of(user: "User", *, fresh: bool = False) -> tuple[int, str] | None:
    """Return id and name of the user's confirmed authenticator, as read with the user unless ``fresh``."""
    if fresh or not hasattr(user, "authenticator_id"):
        device = _authenticator_of.first(user.pk)
        return (device.pk, device.name) if device else None
    pk = getattr(user, "authenticator_id", None)
    return (pk, getattr(user, "authenticator_name", "")) if pk is not None else None


class WindowState:
    """``request.mfa``: whether the user is enrolled, and the window if it is open.

    The authenticator is read with the user (`with_authenticator`), a stored window costs one query.
    After a change within the request, ``fresh`` reads both from the database.
    """

    def __init__(self, request: HttpRequest, *, fresh: bool = False) -> None:
        self._request = request
        self._fresh = fresh

    @property
    def enrolled(self) -> bool:
        return self._authenticator is not None

    @cached_property
    def window(self) -> Window | None:
        window, device, user = stored_window(self._request), self._authenticator, self._user
        if window is None or device is None or user is None:
            return None
        if not window.belongs_to(user, user.mfa_epoch) or not window.is_open_at(timezone.now()):
            return None
        if window.device_id != device[0]:
            return None
        success = _success.first(window.verification_id)
        if success is None:
            return None
        proof = (success.user_id, success.device_id, success.epoch, success.at)
        claim = (window.user_id, window.device_id, window.epoch, window.verified_at)
        return window if proof == claim else None

    @property
    def is_open(self) -> bool:
        return self.window is not None

    @property
    def expires_at(self) -> datetime | None:
        return self.window.closes_at if self.window else None

    @property
    def minutes_left(self) -> int:
        """Return the minutes left, rounded up: 60 right after a success, 0 when closed."""
        if self.window is None:
            return 0
        return -((timezone.now() - self.window.closes_at) // timedelta(minutes=1))

    @property
    def authenticator_name(self) -> str:
        return self._authenticator[1] if self._authenticator else ""

    @property
    def _user(self) -> "User | None":
        return self._request.user if self._request.user.is_authenticated else None

    @cached_property
    def _authenticator(self) -> tuple[int, str] | None:
        return authenticator_of(self._user, fresh=self._fresh) if self._user else None


def open_window(request: PortalRequest, verification: Verification) -> None:
    """Open the window of this session with the user's own success."""
    user = request.user
    if verification.outcome != "ok" or verification.user_id != user.pk:
        raise ValueError("Only the user's own success opens their window.")
    window = Window(
        user_id=verification.user_id,
        device_id=verification.device_id or 0,
        epoch=verification.epoch,
        verified_at=verification.at,
        verification_id=verification.pk,
        auth=user.get_session_auth_hash(),
    )
    request.session.cycle_key()
    request.session[SESSION_KEY] = asdict(window) | {"verified_at": window.verified_at.isoformat()}
    request.mfa = WindowState(request, fresh=True)


def close_window(request: PortalRequest) -> None:
    request.session.pop(SESSION_KEY, None)
    request.mfa = WindowState(request, fresh=True)


def record_window_closed(*, user: "User", client_info: ClientInfo) -> None:
    record(event=EventName.MFA_CLOSE_WINDOW, actor=user, target=user, client_info=client_info)


def end_session(request: PortalRequest) -> None:
    """Sign this session out, as after five failures in a row."""
    logout(request)
    request.mfa = WindowState(request, fresh=True)


def stored_window(request: HttpRequest) -> Window | None:
    """Return the window stored in the session, valid or not; None if it is malformed."""
    value: Any = request.session.get(SESSION_KEY)
    try:
        window = Window(**(value | {"verified_at": datetime.fromisoformat(value["verified_at"])}))
    except (TypeError, KeyError, ValueError):
        return None
    numbers = (window.user_id, window.device_id, window.epoch, window.verification_id)
    well_formed = all(isinstance(number, int) for number in numbers) and isinstance(
        window.auth, str
    )
    return window if well_formed and window.verified_at.tzinfo is not None else None
