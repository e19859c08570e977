"""Decisions about evidence, reasons and admins. They change nothing."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db.models import BigIntegerField

from apono_portal.core.db.compiled_query import CompiledQuery
from mfa.exceptions import InvalidReason, NotAllowed
from mfa.models import Authenticator, Method, MfaState, Outcome, Passkey, Verification
from mfa.verification.strength import ANY_METHOD, Requirement, meets
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_REASON_LENGTH = 500

_authenticator_in_use = CompiledQuery(
    lambda pk, user_id: Authenticator.objects.of(user_id).confirmed().filter(pk=pk),
    BigIntegerField(),
    BigIntegerField(),
)
_passkey_in_use = CompiledQuery(
    lambda pk, user_id: Passkey.objects.of(user_id).filter(pk=pk).order_by(),
    BigIntegerField(),
    BigIntegerField(),
)


def is_evidence_valid(
    *,
    verification: Verification | None,
    state: MfaState,
    requirement: Requirement = ANY_METHOD,
) -> bool:
    """Return whether a success still counts: same user, same epoch, method still in use and enough.

    It does not look at the hour: what was permitted within it stays permitted afterwards.
    """
    if verification is None or verification.outcome != Outcome.OK:
        return False
    if not verification.is_authentic:
        return False
    if verification.user_id != state.user_id or verification.epoch != state.epoch:
        return False
    return is_method_in_use(verification) and meets(requirement, verification)


def is_method_in_use(verification: Verification) -> bool:
    """Return whether the user still has what they verified with. A reset voids recovery codes' too."""
    if verification.method == Method.RECOVERY:
        return True
    if verification.method == Method.PASSKEY:
        passkey = _passkey_in_use.first(verification.device_id, verification.user_id)
        return passkey is not None and passkey.is_authentic
    return _authenticator_in_use.first(verification.device_id, verification.user_id) is not None


def is_window_valid(
    window: Window, *, verification: Verification, state: MfaState, now: datetime
) -> bool:
    """Return whether a window permits something now.

    Its verification, with the user, and the state must have been read under the lock.
    """
    return (
        (window.verification_id, window.device_id, window.verified_at)
        == (verification.pk, verification.device_id or 0, verification.at)
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
