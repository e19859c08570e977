"""Resetting a user's MFA: by an account admin, or from the console when no admin can."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.models import Event
from audit.services import Metadata, record
from mfa import emails
from mfa.exceptions import NotEnrolled
from mfa.methods.selectors import is_enrolled
from mfa.models import (
    Authenticator,
    MfaState,
    Passkey,
    PasskeyChallenge,
    RecoveryCode,
    TrustedBrowser,
)
from mfa.verification.evidence import require_admin_evidence
from mfa.verification.locking import lock_state, lock_states, raise_epoch
from mfa.verification.policies import clean_reason, require_account_admin
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User


@dataclass(frozen=True)
class MfaReset:
    """The last reset of a user's MFA, as the user reads it."""

    at: datetime
    by: str
    reason: str

    @property
    def sentence(self) -> str:
        return f"{self.by} reset your MFA ({relative_datetime(self.at)}). Reason: {self.reason}"


def last_reset(user: "User") -> MfaReset | None:
    """Return who last reset a user's MFA, when and why; None if nobody did."""
    resets = Event.objects.about_target(user).filter(event=EventName.MFA_RESET)
    event = resets.order_by("-id").first()
    if event is None:
        return None
    by = "You" if event.actor_id == user.pk else event.actor_label
    if operator := event.metadata.get("operator"):
        by = f"{operator} at the console"
    return MfaReset(event.at, by, event.metadata.get("reason", ""))


def reset_mfa(
    *,
    actor: "User",
    user: "User",
    reason: str,
    window: Window | None,
    client_info: ClientInfo,
    revoke_access: bool = False,
    require_new_password: bool = False,
    confirmed: Metadata | None = None,
) -> None:
    """Remove all of a user's methods, end all their sessions and void their evidence, at once.

    ``window`` is the actor's own. ``revoke_access`` and ``require_new_password`` are only recorded and
    reported here; the caller does both in the same transaction, and passes in ``confirmed`` which admins the
    event names besides the actor. Raises `NotAllowed`, `InvalidReason`,
    `WindowClosed` and `NotEnrolled` (nothing to reset).
    """
    reason = clean_reason(reason)
    with transaction.atomic():
        state = lock_states(actor.pk, user.pk)[user.pk]
        require_account_admin(actor)
        require_admin_evidence(actor=actor, window=window)
        _remove(state)
        event = record(
            event=EventName.MFA_RESET,
            actor=actor,
            target=user,
            client_info=client_info,
            metadata={
                "reason": reason,
                "revoke_access": revoke_access,
                "require_new_password": require_new_password,
                **(confirmed or {}),
            },
        )
        emails.reset(
            event=event,
            user=user,
            by=str(actor),
            reason=reason,
            require_new_password=require_new_password,
        )


def reset_mfa_from_console(*, user: "User", reason: str, operator: str) -> None:
    """Reset a user's MFA on behalf of an operator, as the way back in for the last admin."""
    reason = clean_reason(reason)
    with transaction.atomic():
        _remove(lock_state(user.pk))
        event = record(
            event=EventName.MFA_RESET,
            actor=None,
            target=user,
            metadata={"reason": reason, "console": True, "operator": operator},
        )
        emails.reset(event=event, user=user, by=f"{operator} at the console", reason=reason)


def _remove(state: MfaState) -> None:
    if not is_enrolled(state.user_id):
        raise NotEnrolled("This user has not set up MFA, so there is nothing to reset.")
    Authenticator.objects.of(state.user_id).delete()
    Passkey.objects.of(state.user_id).delete()
    PasskeyChallenge.objects.filter(user_id=state.user_id).delete()
    RecoveryCode.objects.filter(user_id=state.user_id).delete()
    TrustedBrowser.objects.filter(user_id=state.user_id).delete()
    raise_epoch(state)
