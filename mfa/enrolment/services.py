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
from mfa.enrolment.reauthentication import is_password_recent
from mfa.enrolment.recovery_codes import replace_recovery_codes
from mfa.exceptions import AlreadyEnrolled, PasswordNotRecent, SetUpExpired
from mfa.models import Authenticator, Outcome, Verification
from mfa.verification.attempts import (
    Attempt,
    VerificationResult,
    fail,
    refuse_locked_out,
    succeed,
)
from mfa.verification.locking import lock_state, raise_epoch
from mfa.verification.services import check_code, parse_code

if TYPE_CHECKING:
    from apono_portal.users.models import User

DEFAULT_NAME = "Authenticator app"


@dataclass(frozen=True, slots=True)
class SetUpResult(VerificationResult):
    """The outcome of a confirmation. ``recovery_codes`` are shown once and stored nowhere."""

    recovery_codes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, result: VerificationResult, recovery_codes: Iterable[str] = ()) -> "SetUpResult":
        return cls(
            result.attempt,
            result.verification,
            locked_until=result.locked_until,
            browser_cookie=result.browser_cookie,
            recovery_codes=list(recovery_codes),
        )


def begin_set_up(
    *,
    user: "User",
    password_proven_at: datetime | None,
    client_info: ClientInfo,
    device_id: int | None = None,
) -> Authenticator:
    """Make a new unconfirmed authenticator in place of an earlier unconfirmed one.

    ``device_id`` is what this session began before: it is kept while it can still be confirmed, so
    that a key which was already scanned stays right. Raises `PasswordNotRecent`, and
    `AlreadyEnrolled` when MFA is on.
    """
    if not is_password_recent(password_proven_at, timezone.now()):
        raise PasswordNotRecent
    with transaction.atomic():
        lock_state(user.pk)
        devices = list(Authenticator.objects.select_for_update().of(user.pk))
        if any(device.confirmed for device in devices):
            raise AlreadyEnrolled
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

    Raises `AlreadyEnrolled`, or `SetUpExpired` when it was replaced, is another session's or too old.
    """
    return _pending(Authenticator.objects.of(user.pk), device_id)


def confirm_set_up(
    *, user: "User", device_id: int | None, code: str, client_info: ClientInfo, name: str = ""
) -> SetUpResult:
    """Turn MFA on with the first code of the app, in the caller's transaction.

    The code is spent, and a success is evidence like any other: the caller releases what it permits,
    then calls `record_success`. Every session of the user ends but the one whose session hash the
    caller renews. Raises as `pending_set_up` does, and `MalformedCode`.
    """
    code = parse_code(code)
    state = lock_state(user.pk)
    device = _pending(Authenticator.objects.select_for_update().of(user.pk), device_id)
    attempt = Attempt(user, state, device, client_info, Verification.SET_UP_SCOPE)
    if refusal := refuse_locked_out(attempt):
        return SetUpResult.of(refusal)
    outcome = check_code(device, code)
    if outcome != Outcome.OK:
        return SetUpResult.of(fail(attempt, outcome))
    codes = _turn_on(attempt, device, name.strip() or DEFAULT_NAME)
    return SetUpResult.of(succeed(attempt), codes)


def record_incorrect_password(*, user: "User", client_info: ClientInfo) -> None:
    record(
        event=EventName.SESSION_SIGN_IN_FAIL,
        actor=user,
        target=user,
        client_info=client_info,
        metadata={"where": "before MFA setup"},
    )


def _pending(devices: Iterable[Authenticator], device_id: int | None) -> Authenticator:
    devices = list(devices)
    if any(device.confirmed for device in devices):
        raise AlreadyEnrolled
    for device in devices:
        if _is_current(device, device_id):
            return device
    raise SetUpExpired


def _is_current(device: Authenticator, device_id: int | None) -> bool:
    """Return whether this is the session's set-up and still in time."""
    oldest = timezone.now() - settings.MFA_SET_UP_LIFETIME
    return bool(device.pk == device_id and device.created_at > oldest)


def _turn_on(attempt: Attempt, device: Authenticator, name: str) -> list[str]:
    """Confirm the authenticator in a new epoch and return the recovery codes."""
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
    return codes
