"""Demanding evidence: the one place that says yes to a window."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apono_portal.core.db.prepared import prepared
from mfa.exceptions import NotEnrolled, WindowClosed
from mfa.models import Authenticator, MfaState, Verification
from mfa.verification.locking import lock_state
from mfa.verification.policies import window_holds
from mfa.verification.window import Window


def require_evidence(*, user: Any, window: Window | None) -> Verification:
    """Return the success the window stands on, or raise `WindowClosed`.

    Call it inside the transaction of what it permits: the person's state stays locked until that
    commits, so no reset slips in between.
    """
    with transaction.atomic(savepoint=False):
        state = lock_state(user.pk)
        found = _what_it_stands_on(window, state) if window else None
    if found is None:
        raise WindowClosed
    return found


def _what_it_stands_on(window: Window, state: MfaState) -> Verification | None:
    found: Verification | None = _stood_on.first(window.verification_id)
    if found is None or not window_holds(window, of=found, state=state, now=timezone.now()):
        return None
    return found


@prepared(int)
def _stood_on(pk: int) -> QuerySet[Verification]:
    """The entry of the ledger, with the person it is of as stored now."""
    return Verification.objects.filter(pk=pk).select_related("user__mfa_state").order_by()


def require_admin_evidence(*, actor: Any, window: Window | None) -> Verification | None:
    """Demand the open window of an admin who has MFA on. Nothing is asked of one who has not.

    Whoever holds the password of an admin without MFA could turn it on and pass anyway. Where that
    is not enough, ``MFA_ADMINS_MUST_ENROL`` demands that admins turn it on first.
    """
    with transaction.atomic():
        lock_state(actor.pk)
        if Authenticator.objects.of(actor.pk).confirmed().exists():
            return require_evidence(user=actor, window=window)
    if settings.MFA_ADMINS_MUST_ENROL:
        raise NotEnrolled("Set up MFA first: this portal demands it of account admins.")
    return None
