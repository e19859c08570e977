"""Every write about MFA."""

from mfa.locking import lock_state, lock_states
from mfa.services.browsers import forget_browser
from mfa.services.epoch import advance_epoch
from mfa.services.evidence import require_admin_evidence, require_evidence
from mfa.services.holds import lift_hold
from mfa.services.recovery import make_recovery_codes, verify_recovery_code
from mfa.services.reset import reset_mfa, reset_mfa_from_console
from mfa.services.set_up import begin_set_up, confirm_set_up, record_refused_password
from mfa.services.verification import verify_code
from mfa.services.window import record_window_closed
from mfa.tries import VerificationResult

__all__ = [
    "VerificationResult",
    "advance_epoch",
    "begin_set_up",
    "confirm_set_up",
    "forget_browser",
    "lift_hold",
    "lock_state",
    "lock_states",
    "make_recovery_codes",
    "record_refused_password",
    "record_window_closed",
    "require_admin_evidence",
    "require_evidence",
    "reset_mfa",
    "reset_mfa_from_console",
    "verify_code",
    "verify_recovery_code",
]
