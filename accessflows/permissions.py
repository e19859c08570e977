"""Who may change flows, integrations and users: checked under the lock, by every service."""

from typing import TYPE_CHECKING

from accessflows.exceptions import Refused
from accessflows.models import AccessFlow
from mfa.verification.evidence import require_admin_evidence
from mfa.verification.locking import lock_state
from mfa.verification.policies import require_account_admin
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User


def require_admin(*, actor: "User", window: Window | None) -> None:
    """Raise unless the actor is an account admin now, with an open window.

    Call it first in the transaction it protects: it takes the first lock.
    """
    lock_state(actor.pk)
    require_account_admin(actor)
    require_admin_evidence(actor=actor, window=window)


def require_unmanaged(flow: AccessFlow) -> None:
    """Raise unless pages may change a flow, which must be locked: a file that manages one decides."""
    if flow.managed_by_file:
        raise Refused(
            f"{flow} is managed by the file {flow.managed_by_file}. Change it there and apply the file. "
            "Here it can only be deactivated."
        )
