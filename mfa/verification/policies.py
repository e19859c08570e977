"""Decisions about evidence, sign-in and admins. They change nothing."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from apono_portal.core.db.prepared import prepared
from mfa.exceptions import NotAllowed, ReasonMissing
from mfa.models import Authenticator, MfaState, Outcome, Verification
from mfa.verification.window import Window

LONGEST_REASON = 500


def evidence_holds(*, verification: Verification | None, state: MfaState) -> bool:
    """Whether a success still counts: same person, same epoch, its authenticator still in use.

    The hour is not asked for here; what was permitted in the hour stays permitted after it.
    """
    if verification is None or verification.outcome != Outcome.OK:
        return False
    if not verification.is_authentic:
        return False
    if verification.user_id != state.user_id or verification.epoch != state.epoch:
        return False
    return _in_use.first(verification.device_id, state.user_id) is not None


@prepared(int, int)
def _in_use(device_id: int, user_id: int) -> QuerySet[Any, Any]:
    devices = Authenticator.objects.of(user_id).confirmed().filter(pk=device_id)
    return devices.order_by().values_list("pk", flat=True)


def window_holds(window: Window, *, of: Verification, state: MfaState, now: datetime) -> bool:
    """Whether a window of a success permits something now.

    The success, with its person, and the state are fresh, under the lock.
    """
    told = (window.verification_id, window.device_id, window.verified_at)
    return (
        told == (of.pk, of.device_id, of.at)
        and of.user.is_active
        and window.belongs_to(of.user, state.epoch)
        and window.holds_at(now)
        and evidence_holds(verification=of, state=state)
    )


def sign_in_is_recent(session_started_at: datetime | None, now: datetime) -> bool:
    """Whether the password was entered within ``MFA_RECENT_SIGN_IN``."""
    if session_started_at is None:
        return False
    return session_started_at <= now < session_started_at + settings.MFA_RECENT_SIGN_IN


def required_reason(reason: str) -> str:
    """Return the reason without surrounding space, or raise `ReasonMissing`."""
    reason = reason.strip()
    if not 0 < len(reason) <= LONGEST_REASON:
        raise ReasonMissing
    return reason


def require_account_admin(actor: Any) -> None:
    """Ask the database, not the object in hand, whether the actor is an account admin now."""
    fresh: Any = get_user_model()._default_manager.filter(pk=actor.pk).first()
    if fresh is None or not fresh.is_account_admin:
        raise NotAllowed
