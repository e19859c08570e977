"""The verified window: the hour after a success, in that session.

Its value lives in the server-side session and counts only while everything it was made from still
holds (`WindowState`); services that let something through ask again under the lock
(mfa.verification.evidence).
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from apono_portal.core.db.prepared import prepared
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.models import Authenticator, Verification

SESSION_KEY = "mfa_window"


@dataclass(frozen=True, slots=True)
class Window:
    """One success, as the session remembers it. ``auth`` is the person's session hash at that time,
    so that a change of password by any path voids it."""

    user_id: int
    device_id: int
    epoch: int
    verified_at: datetime
    verification_id: int
    auth: str

    @property
    def closes_at(self) -> datetime:
        return self.verified_at + settings.MFA_WINDOW

    def holds_at(self, now: datetime) -> bool:
        """Whether ``now`` is in the hour. A clock that went backwards closes the window."""
        return timedelta(0) <= now - self.verified_at < settings.MFA_WINDOW

    def belongs_to(self, user: Any, epoch: int) -> bool:
        """Whether it is this person's, of this epoch and of this password."""
        return (
            self.user_id == user.pk
            and self.epoch == epoch
            and constant_time_compare(self.auth, user.get_session_auth_hash())
        )


class Enrolled(NamedTuple):
    """The person's confirmed authenticator."""

    device_id: int
    name: str


def with_authenticator(people: QuerySet[Any]) -> QuerySet[Any]:
    """Have people bring their confirmed authenticator along, for the `WindowState` of a request."""
    devices = Authenticator.objects.confirmed().filter(user=OuterRef("pk")).order_by("pk")
    with_both: QuerySet[Any] = people.annotate(
        authenticator_id=Subquery(devices.values("pk")[:1]),
        authenticator_name=Subquery(devices.values("name")[:1]),
    )
    return with_both


@prepared(int)
def _authenticator_of(user_id: int) -> QuerySet[Any, Any]:
    devices = Authenticator.objects.of(user_id).confirmed().order_by("pk")
    return devices.values_list("pk", "name")[:1]


@prepared(int, int)
def _success(pk: int, user_id: int) -> QuerySet[Any, Any]:
    successes = Verification.objects.passed().filter(pk=pk, user_id=user_id)
    return successes.values_list("device_id", "epoch", "at", "user_id")


class WindowState:
    """``request.mfa``: whether the person is enrolled, and the window if it holds now.

    The authenticator comes along with the person (`with_authenticator`); the proof of a window that
    is stored costs one query. After a change ``fresh`` asks the database for both.
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
        if window is None or device is None or not window.belongs_to(user, epoch_of(user)):
            return None
        if window.device_id != device.device_id or not window.holds_at(timezone.now()):
            return None
        proof = _success.first(window.verification_id, window.user_id)
        told = (window.device_id, window.epoch, window.verified_at, window.user_id)
        return window if proof == told else None

    @property
    def is_open(self) -> bool:
        return self.window is not None

    @property
    def expires_at(self) -> datetime | None:
        return self.window.closes_at if self.window else None

    @property
    def minutes_left(self) -> int:
        """Whole minutes begun: 60 right after a success, 1 in the last minute, 0 when closed."""
        if self.window is None:
            return 0
        return -((timezone.now() - self.window.closes_at) // timedelta(minutes=1))

    @property
    def authenticator_name(self) -> str:
        return self._authenticator.name if self._authenticator else ""

    @property
    def _user(self) -> Any:
        return self._request.user

    @cached_property
    def _authenticator(self) -> Enrolled | None:
        user = self._user
        if not user.is_authenticated:
            return None
        if not self._fresh and hasattr(user, "authenticator_id"):
            known = (user.authenticator_id, user.authenticator_name)
            return Enrolled(*known) if user.authenticator_id is not None else None
        found = _authenticator_of.first(user.pk)
        return Enrolled(*found) if found else None


def open_window(request: HttpRequest, verification: Verification) -> None:
    """Open the window of this session with a success of the person signed in."""
    user: Any = request.user
    if verification.outcome != "ok" or verification.user_id != user.pk:
        raise ValueError("Only the person's own success opens their window.")
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
    _forget_state(request)


def state_of(request: HttpRequest) -> WindowState:
    """Return ``request.mfa``, typed."""
    state: WindowState = request.mfa  # type: ignore[attr-defined]
    return state


def close_window(request: HttpRequest) -> None:
    request.session.pop(SESSION_KEY, None)
    _forget_state(request)


def end_session(request: HttpRequest) -> None:
    """Sign this session out: what five failures in a row lead to."""
    logout(request)
    _forget_state(request)


def stored_window(request: HttpRequest) -> Window | None:
    """Return what the session holds, without judging it; None if it is not a window at all."""
    value: Any = request.session.get(SESSION_KEY)
    try:
        window = Window(**(value | {"verified_at": datetime.fromisoformat(value["verified_at"])}))
    except (TypeError, KeyError, ValueError):
        return None
    numbers = (window.user_id, window.device_id, window.epoch, window.verification_id)
    sound = all(isinstance(number, int) for number in numbers) and isinstance(window.auth, str)
    return window if sound and window.verified_at.tzinfo is not None else None


def epoch_of(user: Any) -> int:
    """Return the person's MFA epoch; 0 while they have no state yet."""
    try:
        return int(user.mfa_state.epoch)
    except ObjectDoesNotExist:
        return 0


def lockout_lifted_at_of(user: Any) -> datetime | None:
    """Return when an admin last lifted the person's 30-day limit."""
    try:
        lifted_at: datetime | None = user.mfa_state.lockout_lifted_at
    except ObjectDoesNotExist:
        return None
    return lifted_at


def _forget_state(request: HttpRequest) -> None:
    request.mfa = WindowState(request, fresh=True)  # type: ignore[attr-defined]


def record_window_closed(*, user: Any, client_info: ClientInfo) -> None:
    record(event=EventName.MFA_CLOSE_WINDOW, actor=user, target=user, client_info=client_info)
