"""The 30-day limit of wrong codes, and an admin's lifting of it."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa import emails
from mfa.exceptions import NotHeldOff
from mfa.verification.evidence import require_admin_evidence
from mfa.verification.locking import lock_states
from mfa.verification.policies import require_account_admin, required_reason
from mfa.verification.selectors import scopes_at_month_limit
from mfa.verification.window import Window


def lift_lockout(
    *, actor: Any, user: Any, reason: str, window: Window | None, client_info: ClientInfo
) -> None:
    """Let the 30-day limit of a person count anew from now. The shorter limits stay as they are.

    Raises `NotAllowed`, `ReasonMissing`, `WindowClosed` and `NotHeldOff`.
    """
    reason = required_reason(reason)
    with transaction.atomic():
        state = lock_states(actor.pk, user.pk)[user.pk]
        require_account_admin(actor)
        require_admin_evidence(actor=actor, window=window)
        now = timezone.now()
        scopes = [hold.scope for hold in scopes_at_month_limit(now=now, user_id=user.pk)]
        if not scopes:
            raise NotHeldOff
        state.lockout_lifted_at = now
        state.save(update_fields=["lockout_lifted_at"])
        event = record(
            event=EventName.MFA_LIFT_LOCKOUT,
            actor=actor,
            target=user,
            client_info=client_info,
            metadata={"reason": reason, "scopes": scopes},
        )
        emails.hold_lifted(event=event, user=user, by=str(actor), reason=reason)
