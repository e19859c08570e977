"""Demanding evidence: the one place that says yes to a window."""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from audit.prepared import prepared
from mfa.exceptions import NotEnrolled, WindowClosed
from mfa.locking import lock_state
from mfa.models import Authenticator, Verification
from mfa.policies import window_holds
from mfa.window import Window


def require_evidence(*, user: Any, window: Window | None) -> Verification:
    """Return the success the window stands on, or raise `WindowClosed`.

    Call it inside the transaction of what it permits: the person's state stays locked until that
    commits, so no reset slips in between.
    """
    with transaction.atomic(savepoint=False):
        state = lock_state(user.pk)
        fresh = _person.first(user.pk) if window else None
        verification = _stood_on(window)
        holds = fresh is not None and window_holds(
            window, user=fresh, state=state, verification=verification, now=timezone.now()
        )
    if verification is None or not holds:
        raise WindowClosed
    return verification


def _stood_on(window: Window | None) -> Verification | None:
    found: Verification | None = _success.first(window.verification_id) if window else None
    return found


@prepared(int)
def _person(user_id: int) -> QuerySet[Any, Any]:
    people: QuerySet[Any, Any] = get_user_model()._default_manager.filter(pk=user_id)
    return people.select_related("mfa_state").order_by()


@prepared(int)
def _success(pk: int) -> QuerySet[Verification]:
    return Verification.objects.filter(pk=pk).order_by()


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
