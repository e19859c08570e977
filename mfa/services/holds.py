"""The 30-day limit of wrong codes, and an admin's lifting of it."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from audit.events import EventName
from audit.origin import Origin
from audit.services import record
from mfa import notices
from mfa.exceptions import NotHeldOff
from mfa.locking import lock_states
from mfa.policies import require_account_admin, required_reason
from mfa.selectors import lanes_at_month_limit
from mfa.services.evidence import require_admin_evidence
from mfa.window import Window


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
        notices.hold_lifted(event=event, user=user, by=str(actor), reason=reason)
