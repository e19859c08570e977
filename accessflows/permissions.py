"""Who may change flows, integrations and people: asked again under the lock, by every service."""

from typing import Any

from mfa.verification.evidence import require_admin_evidence
from mfa.verification.policies import require_account_admin
from mfa.verification.window import Window


def require_admin(*, actor: Any, window: Window | None) -> None:
    """Raise unless the actor is an account admin now, with an open window where MFA is set up.

    Call it first in the transaction of what it permits: it takes the first lock.
    """
    require_admin_evidence(actor=actor, window=window)
    require_account_admin(actor)
