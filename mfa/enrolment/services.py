"""Turning MFA on: begin makes a key, confirm proves that an app has it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa import emails
from mfa.enrolment.recovery_codes import replace_recovery_codes
from mfa.enrolment.selectors import pick_under_way
from mfa.exceptions import AlreadyEnrolled, SignInTooOld
from mfa.models import Authenticator, Outcome, Verification
from mfa.verification.attempts import SENTENCES, Attempt, after_failure, check_code, refused_by_hold
from mfa.verification.codes import normalise_code
from mfa.verification.locking import lock_state, raise_epoch
from mfa.verification.policies import sign_in_is_recent
from mfa.verification.throttle_scope import ThrottleScope
from mfa.verification.trusted_browsers import trust_browser

DEFAULT_NAME = "Authenticator app"


@dataclass(frozen=True, slots=True)
class SetUpResult:
    """What became of a confirmation. ``recovery_codes`` are shown once and kept nowhere."""

    outcome: Outcome
    locked_until: datetime | None = None
    device_cookie: str = ""
    recovery_codes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.outcome == Outcome.OK

    @property
    def sentence(self) -> str:
        return SENTENCES[self.outcome]


def begin_set_up(
    *, user: Any, session_started_at: datetime | None, client_info: ClientInfo
) -> Authenticator:
    """Make a new unconfirmed authenticator, in place of an earlier unconfirmed one.

    Raises `SignInTooOld` when the password was not entered lately, `AlreadyEnrolled` when MFA is on.
    """
    if not sign_in_is_recent(session_started_at, timezone.now()):
        raise SignInTooOld
    with transaction.atomic():
        lock_state(user.pk)
        devices = Authenticator.objects.select_for_update().of(user.pk)
        if any(device.confirmed for device in devices):
            raise AlreadyEnrolled
        Authenticator.objects.of(user.pk).awaiting_confirmation().delete()
        device: Authenticator = Authenticator.objects.create(
            user_id=user.pk,
            name=DEFAULT_NAME,
            confirmed=False,
            key=Authenticator.new_encrypted_key(user.pk),
        )
        record(event=EventName.MFA_BEGIN_SET_UP, actor=user, target=device, client_info=client_info)
        return device


def confirm_set_up(
    *, user: Any, device_id: int | None, code: str, client_info: ClientInfo, name: str = ""
) -> SetUpResult:
    """Turn MFA on with the first code of the app. That code is spent and opens no window.

    Every session of the person ends but the one whose session hash the caller renews. Raises as
    `mfa.enrolment.selectors.set_up_under_way` does, and `MalformedCode`.
    """
    digits = normalise_code(code)
    scope = ThrottleScope(Verification.SET_UP_SCOPE)
    with transaction.atomic():
        state = lock_state(user.pk)
        device = pick_under_way(Authenticator.objects.select_for_update().of(user.pk), device_id)
        attempt = Attempt(user, state, scope, client_info, timezone.now(), device)
        held = refused_by_hold(attempt)
        if held is not None:
            return SetUpResult(held.outcome, locked_until=held.locked_until)
        outcome = check_code(device, digits)
        if outcome != Outcome.OK:
            failed = after_failure(attempt, attempt.write(outcome)[0])
            return SetUpResult(outcome, locked_until=failed.locked_until)
        return _turn_on(attempt, device, name.strip() or DEFAULT_NAME)


def record_refused_password(*, user: Any, client_info: ClientInfo) -> None:
    """Put on the record that the password asked for once more was wrong."""
    record(
        event=EventName.SESSION_SIGN_IN_FAIL,
        actor=user,
        target=user,
        client_info=client_info,
        metadata={"where": "before MFA set-up"},
    )


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
    emails.set_up(event=event, user=attempt.user, client_info=attempt.client_info)
    return SetUpResult(Outcome.OK, device_cookie=trust_browser(attempt), recovery_codes=codes)
