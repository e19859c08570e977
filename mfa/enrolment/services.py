"""Turning MFA on: begin makes a key, confirm proves that an app has it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa import emails
from mfa.enrolment.reauthentication import require_recent_proof
from mfa.enrolment.recovery_codes import replace_recovery_codes
from mfa.exceptions import SetUpExpired, TooManyMethods
from mfa.methods.selectors import is_enrolled
from mfa.models import Authenticator, Method, Outcome, Verification
from mfa.verification.attempts import (
    MESSAGES,
    Attempt,
    VerificationResult,
    fail,
    refuse_locked_out,
    succeed,
)
from mfa.verification.evidence import require_evidence
from mfa.verification.locking import lock_state, raise_epoch
from mfa.verification.services import check_code, parse_code
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

DEFAULT_NAME = "Authenticator app"
MAX_AUTHENTICATORS = 3  # a guess is compared with each


@dataclass(frozen=True, slots=True)
class SetUpResult:
    """The outcome of a confirmation. ``recovery_codes`` are shown once and stored nowhere.

    ``success`` is the verification by the code that turned MFA on.
    """

    outcome: Outcome
    locked_until: datetime | None = None
    success: VerificationResult | None = None
    recovery_codes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.outcome == Outcome.OK

    @property
    def message(self) -> str:
        return MESSAGES[self.outcome]


def begin_set_up(
    *,
    user: "User",
    password_proven_at: datetime | None,
    client_info: ClientInfo,
    device_id: int | None = None,
    window: Window | None = None,
) -> Authenticator:
    """Make a new unconfirmed authenticator in place of an earlier unconfirmed one.

    ``device_id`` is what this session began before: it is kept while it can still be confirmed, so
    that a key which was already scanned stays right. It needs an open window of whoever has a method,
    and a recent password of whoever has none. Raises `WindowClosed`, `PasswordNotRecent` and
    `TooManyMethods`.
    """
    with transaction.atomic():
        _require_may_set_up(user, window, password_proven_at)
        devices = Authenticator.objects.select_for_update().of(user.pk)
        if begun := next((d for d in devices if _is_current(d, device_id)), None):
            return begun
        Authenticator.objects.of(user.pk).awaiting_confirmation().delete()
        device: Authenticator = Authenticator.objects.create(
            user_id=user.pk,
            name=DEFAULT_NAME,
            confirmed=False,
            key=Authenticator.new_encrypted_key(user.pk),
        )
        record(event=EventName.MFA_BEGIN_SET_UP, actor=user, target=device, client_info=client_info)
        return device


def pending_set_up(*, user: "User", device_id: int | None) -> Authenticator:
    """Return the unconfirmed authenticator that this session began, so that its key can be shown.

    Raises `SetUpExpired` when it was replaced, is another session's or too old.
    """
    return _pending(Authenticator.objects.of(user.pk), device_id)


def confirm_set_up(
    *,
    user: "User",
    device_id: int | None,
    code: str,
    client_info: ClientInfo,
    name: str = "",
    window: Window | None = None,
) -> SetUpResult:
    """Turn MFA on with the first code of the app, in the caller's transaction.

    The first code is spent. Where it confirms a user's first method, it is evidence like any other:
    the caller releases what it permits, then calls `record_success`, and every session ends but the
    one whose session hash the caller renews. A further authenticator needs an open window and opens
    none. Raises as `pending_set_up` does, `WindowClosed` and `MalformedCode`.
    """
    code = parse_code(code)
    state = lock_state(user.pk)
    device = _pending(Authenticator.objects.select_for_update().of(user.pk), device_id)
    is_further = is_enrolled(user.pk)
    if is_further:
        require_evidence(user=user, window=window)
    attempt = Attempt(user, state, device, client_info, Verification.SET_UP_SCOPE)
    if refusal := refuse_locked_out(attempt):
        return SetUpResult(refusal.outcome, locked_until=refusal.locked_until)
    outcome = check_code(device, code)
    if outcome != Outcome.OK:
        return SetUpResult(outcome, locked_until=fail(attempt, outcome).locked_until)
    name = name.strip() or DEFAULT_NAME
    return _add(attempt, device, name) if is_further else _turn_on(attempt, device, name)


def record_incorrect_password(*, user: "User", client_info: ClientInfo) -> None:
    record(
        event=EventName.SESSION_SIGN_IN_FAIL,
        actor=user,
        target=user,
        client_info=client_info,
        metadata={"where": "before MFA setup"},
    )


def _pending(devices: Iterable[Authenticator], device_id: int | None) -> Authenticator:
    for device in devices:
        if _is_current(device, device_id):
            return device
    raise SetUpExpired


def _is_current(device: Authenticator, device_id: int | None) -> bool:
    """Return whether this is the session's set-up, unconfirmed and still in time."""
    oldest = timezone.now() - settings.MFA_SET_UP_LIFETIME
    return bool(device.pk == device_id and not device.confirmed and device.created_at > oldest)


def _require_may_set_up(
    user: "User", window: Window | None, password_proven_at: datetime | None
) -> None:
    require_recent_proof(user=user, window=window, password_proven_at=password_proven_at)
    if Authenticator.objects.of(user.pk).confirmed().count() >= MAX_AUTHENTICATORS:
        raise TooManyMethods


def _add(attempt: Attempt, device: Authenticator, name: str) -> SetUpResult:
    """Confirm a further authenticator: it changes nothing about the others, windows or evidence."""
    device.confirmed, device.name = True, name
    device.save(update_fields=["confirmed", "name"])
    event = record(
        event=EventName.MFA_ADD_METHOD,
        actor=attempt.user,
        target=device,
        client_info=attempt.client_info,
        metadata={"method": Method.CODE.value, "name": name},
    )
    emails.method_added(event=event, user=attempt.user, name=name, client_info=attempt.client_info)
    return SetUpResult(Outcome.OK)


def _turn_on(attempt: Attempt, device: Authenticator, name: str) -> SetUpResult:
    device.confirmed, device.name = True, name
    device.save(update_fields=["confirmed", "name"])
    raise_epoch(attempt.state)
    codes = replace_recovery_codes(user_id=device.user_id) if settings.MFA_RECOVERY_CODES else []
    event = record(
        event=EventName.MFA_SET_UP,
        actor=attempt.user,
        target=device,
        client_info=attempt.client_info,
        metadata={"authenticator": name, "recovery_codes": len(codes)},
    )
    emails.turned_on(event=event, user=attempt.user, client_info=attempt.client_info)
    return SetUpResult(Outcome.OK, success=succeed(attempt), recovery_codes=codes)
