"""The MFA banner at the top of every page: set up MFA, or enter a code for pending requests."""

from collections.abc import Sequence
from dataclasses import dataclass

from accessflows.models import AccessFlow
from mfa.verification.window import WindowState

MAX_NAMED = 3


@dataclass(frozen=True)
class MfaBanner:
    """``kind`` is set_up or enter_code; ``pending`` names the requests that wait for it."""

    kind: str
    pending: str


def mfa_banner(state: WindowState, pending: Sequence[str]) -> MfaBanner | None:
    """Return what the banner asks of a user, by the names of their requests pending MFA.

    Users who have not enrolled see it as soon as one active access flow requires MFA.
    """
    names = ", ".join(pending[:MAX_NAMED])
    if len(pending) > MAX_NAMED:
        names += f" and {len(pending) - MAX_NAMED} more"
    if state.enrolled:
        return MfaBanner("enter_code", names) if pending else None
    if pending or AccessFlow.objects.active().requiring_mfa().exists():
        return MfaBanner("set_up", names)
    return None
