"""The verified window: the hour after a success, in that session.

Its value lives in the server-side session and counts only while everything it was made from still
holds (`WindowState`); services that let something through ask again under the lock
(mfa.services.evidence).
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

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


class WindowState:
    """``request.mfa``: whether the person is enrolled, and the window if it holds now.

    Asks the database at most once a request, and not at all for strangers.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @property
    def enrolled(self) -> bool:
        return self._authenticator is not None

    @cached_property
    def window(self) -> Window | None:
        window, device, user = stored_window(self._request), self._authenticator, self._user
        if window is None or device is None or not window.belongs_to(user, epoch_of(user)):
            return None
        proven = window.device_id == device.pk and device.has_proof
        return window if proven and window.holds_at(timezone.now()) else None

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
    def _authenticator(self) -> Any:
        if not self._user.is_authenticated:
            return None
        devices = Authenticator.objects.of(self._user.pk).confirmed()
        window = stored_window(self._request)
        if window is None:
            return devices.first()
        proof = Verification.objects.passed().filter(
            pk=window.verification_id,
            user_id=OuterRef("user_id"),
            device_id=OuterRef("pk"),
            epoch=window.epoch,
            at=window.verified_at,
        )
        return devices.annotate(has_proof=Exists(proof)).first()


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


def _forget_state(request: HttpRequest) -> None:
    request.mfa = WindowState(request)  # type: ignore[attr-defined]
