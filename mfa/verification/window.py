"""The verified window: the hour after a success, in that session.

It is stored in the server-side session and counts only while everything it was made from still holds
(`WindowState`). Services that permit something check it again under the lock
(`mfa.verification.evidence`).
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

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
from mfa.methods.selectors import is_enrolled
from mfa.models import Authenticator, Method, Passkey, Verification

if TYPE_CHECKING:
    from apono_portal.users.models import User

SESSION_KEY = "mfa_window"
Users = TypeVar("Users", bound=QuerySet[Any])

_authenticators = Authenticator.objects.confirmed().filter(
    pk=OuterRef("device_id"), user=OuterRef("user_id")
)
_passkeys = Passkey.objects.filter(pk=OuterRef("device_id"), user=OuterRef("user_id"))
_success = CompiledQuery(
    lambda pk: (
        Verification.objects.passed()
        .filter(pk=pk)
        .annotate(
            authenticator_in_use=Subquery(_authenticators.values("pk")[:1]),
            passkey_in_use=Subquery(_passkeys.values("pk")[:1]),
        )
        .order_by()
    ),
    BigIntegerField(),
)


@dataclass(frozen=True, slots=True)
class Window:
    """One success, as the session stores it. ``device_id`` is 0 where a recovery code has none.

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


def with_methods(users: Users) -> Users:
    """Annotate users with one of their authenticators and passkeys, for the `WindowState` of a request."""
    devices = Authenticator.objects.confirmed().filter(user=OuterRef("pk")).order_by("pk")
    passkeys = Passkey.objects.filter(user=OuterRef("pk")).order_by("pk")
    return users.annotate(
        authenticator_id=Subquery(devices.values("pk")[:1]),
        passkey_id=Subquery(passkeys.values("pk")[:1]),
    )


def is_enrolled_user(user: "User", *, fresh: bool = False) -> bool:
    """Return whether the user has a method, as read with the user (`with_methods`) unless ``fresh``."""
    if fresh or not hasattr(user, "authenticator_id"):
        return is_enrolled(user.pk)
    methods = (user.authenticator_id, getattr(user, "passkey_id", None))
    return any(pk is not None for pk in methods)


class WindowState:
    """``request.mfa``: whether the user is enrolled, and the window if it is open.

    What they enrolled is read with the user (`with_methods`), a stored window costs one query.
    After a change within the request, ``fresh`` reads both from the database.
    """

    def __init__(self, request: HttpRequest, *, fresh: bool = False) -> None:
        self._request = request
        self._fresh = fresh

    @cached_property
    def enrolled(self) -> bool:
        return self._user is not None and is_enrolled_user(self._user, fresh=self._fresh)

    @property
    def window(self) -> Window | None:
        return self._state[0]

    @property
    def verification(self) -> Verification | None:
        """Return the success behind the open window. Pages show it; services check it again."""
        return self._state[1]

    @cached_property
    def _state(self) -> tuple[Window | None, Verification | None]:
        window, user = stored_window(self._request), self._user
        if window is None or user is None or not self.enrolled:
            return None, None
        if not window.belongs_to(user, user.mfa_epoch) or not window.is_open_at(timezone.now()):
            return None, None
        success = _success.first(window.verification_id)
        if success is None or not _is_in_use(success):
            return None, None
        proof = (success.user_id, success.device_id or 0, success.epoch, success.at)
        claim = (window.user_id, window.device_id, window.epoch, window.verified_at)
        return (window, success) if proof == claim else (None, None)

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
    def _user(self) -> "User | None":
        return self._request.user if self._request.user.is_authenticated else None


def _is_in_use(success: Verification) -> bool:
    if success.method == Method.RECOVERY:
        return True
    kind = "passkey" if success.method == Method.PASSKEY else "authenticator"
    return bool(getattr(success, f"{kind}_in_use"))


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
    """Close the window of this session, whose new key keeps a request under way from saving it again."""
    if request.session.pop(SESSION_KEY, None) is not None:
        request.session.cycle_key()
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
