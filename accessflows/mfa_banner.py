"""The MFA banner at the top of every page: set up MFA, or enter a code for pending requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accessflows.models import AccessFlow
from mfa.verification.window import WindowState

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_NAMED = 3


@dataclass(frozen=True)
class MfaBanner:
    """``kind`` is set_up or enter_code; ``pending`` names the requests that wait for it.

    ``can_request``: the user may request something that requires MFA.
    """

    kind: str
    pending: str
    can_request: bool = False


def mfa_banner(state: WindowState, pending: Sequence[str], user: "User") -> MfaBanner | None:
    """Return what the banner asks of a user, by the names of their requests pending MFA.

    Users who have not enrolled see it as soon as one active access flow requires MFA.
    """
    names = ", ".join(pending[:MAX_NAMED])
    if len(pending) > MAX_NAMED:
        names += f" and {len(pending) - MAX_NAMED} more"
    if state.enrolled:
        return MfaBanner("enter_code", names) if pending else None
    flows = AccessFlow.objects.active().requiring_mfa()
    if pending or flows.exists():
        can_request = flows.requestable_by(user).exists()
        return MfaBanner("set_up", names, can_request=can_request)
    return None
