"""Evidence of MFA: every protected action demands it here, under the lock."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import BigIntegerField
from django.utils import timezone

from apono_portal.core.db.compiled_query import CompiledQuery
from mfa.exceptions import NotEnrolled
from mfa.methods.selectors import is_enrolled
from mfa.models import MfaState, Verification
from mfa.verification.locking import lock_state
from mfa.verification.policies import is_window_valid
from mfa.verification.strength import ANY_METHOD, Requirement, claim
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User


_verification = CompiledQuery(
    lambda pk: Verification.objects.filter(pk=pk).select_related("user__mfa_state").order_by(),
    BigIntegerField(),
)


def require_evidence(
    *, user: "User", window: Window | None, requirement: Requirement = ANY_METHOD
) -> Verification:
    """Return the success that opened the window, or raise `WindowClosed`.

    Call it inside the transaction of what it permits: the user's state stays locked until that
    commits, so no reset slips in between. Raises `PasskeyRequired` and `OwnVerificationRequired`, too,
    where the window is not enough for the requirement.
    """
    with transaction.atomic(savepoint=False):
        state = lock_state(user.pk)
        verification = _success_behind(window, state) if window else None
    if verification is None:
        raise requirement.refusal()
    claim(requirement, verification)
    return verification


def _success_behind(window: Window, state: MfaState) -> Verification | None:
    verification = _verification.first(window.verification_id)
    if verification is None or not is_window_valid(
        window, verification=verification, state=state, now=timezone.now()
    ):
        return None
    return verification


def require_evidence_if_enrolled(*, user: "User", window: Window | None) -> Verification | None:
    """Demand an open window of a user who has set up MFA, and nothing of one who has not.

    For what changes how somebody signs in: a password alone must not be enough for that. A window is
    checked in any case: whoever has one was enrolled, and a reset since then has closed it.
    """
    with transaction.atomic():
        lock_state(user.pk)
        if window is None and not is_enrolled(user.pk):
            return None
        return require_evidence(user=user, window=window)


def require_admin_evidence(*, actor: "User", window: Window | None) -> Verification | None:
    """Demand an open window of an admin, who sets up MFA first.

    Only without ``MFA_ADMINS_MUST_ENROL`` does an admin who has not set it up act without.
    """
    verification = require_evidence_if_enrolled(user=actor, window=window)
    if verification is None and settings.MFA_ADMINS_MUST_ENROL:
        raise NotEnrolled(NotEnrolled.admins)
    return verification
