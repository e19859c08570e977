"""Decisions about evidence, reasons and admins. They change nothing."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db.models import BigIntegerField

from apono_portal.core.db.compiled_query import CompiledQuery
from mfa.exceptions import InvalidReason, NotAllowed
from mfa.models import Authenticator, MfaState, Outcome, Verification
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_REASON_LENGTH = 500

_device_in_use = CompiledQuery(
    lambda pk, user_id: Authenticator.objects.of(user_id).confirmed().filter(pk=pk),
    BigIntegerField(),
    BigIntegerField(),
)


def is_evidence_valid(*, verification: Verification | None, state: MfaState) -> bool:
    """Return whether a success still counts: same user, same epoch, authenticator still in use.

    It does not look at the hour: what was permitted within it stays permitted afterwards.
    """
    if verification is None or verification.outcome != Outcome.OK:
        return False
    if not verification.is_authentic:
        return False
    if verification.user_id != state.user_id or verification.epoch != state.epoch:
        return False
    return _device_in_use.first(verification.device_id, state.user_id) is not None


def is_window_valid(
    window: Window, *, verification: Verification, state: MfaState, now: datetime
) -> bool:
    """Return whether a window permits something now.

    Its verification, with the user, and the state must have been read under the lock.
    """
    return (
        (window.verification_id, window.device_id, window.verified_at)
        == (verification.pk, verification.device_id, verification.at)
        and verification.user.is_active
        and window.belongs_to(verification.user, state.epoch)
        and window.is_open_at(now)
        and is_evidence_valid(verification=verification, state=state)
    )


def clean_reason(reason: str) -> str:
    """Return the reason without surrounding space, or raise `InvalidReason`."""
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON_LENGTH:
        raise InvalidReason
    return reason


def require_account_admin(actor: "User") -> None:
    """Raise `NotAllowed` unless the actor, read afresh, is an account admin now."""
    user = get_user_model().objects.filter(pk=actor.pk).first()
    if user is None or not user.is_account_admin:
        raise NotAllowed
