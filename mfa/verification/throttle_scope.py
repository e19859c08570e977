"""Throttle scopes: separate budgets for wrong codes, so that no stranger can lock the owner out.

A trusted browser has a scope of its own; all other browsers share the scope ``unknown``. Recovery
codes have the same scopes once more. A scope is a budget, never a way around a code.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from mfa.models import TrustedBrowser, Verification
from mfa.verification.trusted_browsers import find_trusted_browser, nonce_hash_of
from mfa.verification.window import stored_window

if TYPE_CHECKING:
    from apono_portal.users.models import User

RECOVERY_SCOPE = "recovery"


@dataclass(frozen=True, slots=True)
class ThrottleScope:
    """The browser and the session an attempt comes from, as hashes of their cookies.

    ``last_success`` is the verification that opened the session's window, if any.
    """

    nonce_hash: str = ""
    session_ref: str = ""
    last_success: int | None = None

    def trusted_browser(self, user_id: int, epoch: int) -> TrustedBrowser | None:
        return find_trusted_browser(user_id, epoch, self.nonce_hash)


def throttle_scope_of(request: HttpRequest, user: "User") -> ThrottleScope:
    window = stored_window(request)
    last_success = window.verification_id if window and window.user_id == user.pk else None
    return ThrottleScope(nonce_hash_of(request, user.pk), session_ref_of(request), last_success)


def scope_label(browser: TrustedBrowser | None, *, recovery: bool = False) -> str:
    """Return the ledger's name of a budget. A lockout of one factor does not lock out the other."""
    if recovery:
        return f"{RECOVERY_SCOPE}:{browser.pk}" if browser else RECOVERY_SCOPE
    return f"trusted:{browser.pk}" if browser else Verification.UNKNOWN_SCOPE


def session_ref_of(request: HttpRequest) -> str:
    """Return a hash of the session key: enough to count its failures, not enough to enter it."""
    key = request.session.session_key
    return salted_hmac("mfa.session", key, algorithm="sha256").hexdigest() if key else ""
