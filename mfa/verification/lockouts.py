"""The 30-day limit of wrong codes, and an admin's lifting of it."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from apono_portal.core.web.client import Origin
from audit.events import EventName
from audit.services import record
from mfa import emails
from mfa.exceptions import NotHeldOff
from mfa.verification.evidence import require_admin_evidence
from mfa.verification.locking import lock_states
from mfa.verification.policies import require_account_admin, required_reason
from mfa.verification.selectors import lanes_at_month_limit
from mfa.verification.window import Window


def lift_hold(*, actor: Any, user: Any, reason: str, window: Window | None, origin: Origin) -> None:
    """Let the 30-day limit of a person count anew from now. The shorter limits stay as they are.

    Raises `NotAllowed`, `ReasonMissing`, `WindowClosed` and `NotHeldOff`.
    """
    reason = required_reason(reason)
    with transaction.atomic():
        state = lock_states(actor.pk, user.pk)[user.pk]
        require_account_admin(actor)
        require_admin_evidence(actor=actor, window=window)
        now = timezone.now()
        lanes = [hold.lane for hold in lanes_at_month_limit(now=now, user_id=user.pk)]
        if not lanes:
            raise NotHeldOff
        state.cap_lifted_at = now
        state.save(update_fields=["cap_lifted_at"])
        event = record(
            event=EventName.MFA_LIFT_CAP,
            actor=actor,
            target=user,
            origin=origin,
            metadata={"reason": reason, "lanes": lanes},
        )
        emails.hold_lifted(event=event, user=user, by=str(actor), reason=reason)
