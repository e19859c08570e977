"""Lockouts: who is locked out, until when, and an admin's lifting of the 30-day limit."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Count, F, Max, Min, Q
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa import emails
from mfa.exceptions import NotLockedOut
from mfa.models import MfaState, Verification
from mfa.verification.attempts import recent_failures
from mfa.verification.evidence import require_admin_evidence
from mfa.verification.locking import lock_states
from mfa.verification.policies import clean_reason, require_account_admin
from mfa.verification.rate_limits import (
    LIMITS,
    MONTH,
    SHORT,
    Limit,
    limit_reached,
    locked_until,
)
from mfa.verification.throttle_scope import RECOVERY_SCOPE, ThrottleScope, scope_label
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

# Failures from before an admin lifted the 30-day limit do not count towards it.
SINCE_LIFTED = Q(user__mfa_state__lockout_lifted_at=None) | Q(
    at__gt=F("user__mfa_state__lockout_lifted_at")
)


@dataclass(frozen=True, slots=True)
class Lockout:
    """A scope that has reached the 30-day limit."""

    user: "User"
    scope: str
    failures: int
    first_at: datetime
    last_at: datetime

    @property
    def description(self) -> str:
        kind, _, number = self.scope.partition(":")
        if kind == Verification.SET_UP_SCOPE:
            return "While setting up"
        factor = "recovery codes" if kind == RECOVERY_SCOPE else "codes"
        return f"Trusted browser {number}, {factor}" if number else f"New browsers, {factor}"


def locked_out_until(
    user: "User", scope: ThrottleScope, *, is_recovery: bool = False
) -> datetime | None:
    """Return when this browser may enter codes again, None if it may now."""
    state: MfaState | None = getattr(user, "mfa_state", None)
    if state is None:
        return None
    now = timezone.now()
    browser = scope.trusted_browser(user.pk, state.epoch)
    failures = recent_failures(user.pk, scope_label(browser, recovery=is_recovery), now)
    return locked_until(failures, now, month_since=state.lockout_lifted_at)


def limit_behind_lockout(
    user: "User", scope: ThrottleScope | None, *, is_recovery: bool = False
) -> Limit | None:
    """Return the limit that this browser has reached, None if it is not locked out.

    Without a scope it is the limit of setting up.
    """
    state, now = MfaState.objects.get(user_id=user.pk), timezone.now()
    label = Verification.SET_UP_SCOPE
    if scope is not None:
        label = scope_label(scope.trusted_browser(user.pk, state.epoch), recovery=is_recovery)
    failures = recent_failures(user.pk, label, now)
    return limit_reached(failures, now, month_since=state.lockout_lifted_at)


def users_locked_out(now: datetime, user_ids: Collection[int] | None = None) -> set[int]:
    """Return the ids of users one of whose scopes is locked out now. One query."""
    failures = Verification.objects.failures().since(now - MONTH.period).order_by()
    if user_ids is not None:
        failures = failures.filter(user__in=user_ids)
    # Few users fail often enough for any limit, as an index alone can tell; only theirs are counted.
    suspects = failures.values("user_id").annotate(n=Count("*")).filter(n__gte=SHORT.failures)
    scopes = failures.filter(user__in=suspects.values("user_id")).values("user_id", "scope")
    reached = Q()
    for number, limit in enumerate(LIMITS):
        counted = Q(at__gt=now - limit.period) & (SINCE_LIFTED if limit is MONTH else Q())
        scopes = scopes.annotate(**{f"n{number}": Count("pk", filter=counted)})
        reached |= Q(**{f"n{number}__gte": limit.failures})
    return set(scopes.filter(reached).values_list("user_id", flat=True))


def month_lockouts(now: datetime, user_id: int | None = None) -> list[Lockout]:
    """Return the scopes locked out by the 30-day limit, latest failure first. Two queries."""
    failures = Verification.objects.failures().since(now - MONTH.period).filter(SINCE_LIFTED)
    if user_id is not None:
        failures = failures.filter(user_id=user_id)
    scopes = (
        failures.order_by()
        .values("user_id", "scope")
        .annotate(failures=Count("pk"), first_at=Min("at"), last_at=Max("at"))
        .filter(failures__gte=MONTH.failures)
        .order_by("-last_at")
    )
    rows = list(scopes)
    users = get_user_model().objects.in_bulk({row["user_id"] for row in rows})
    return [
        Lockout(
            user=users[row["user_id"]],
            scope=row["scope"],
            failures=row["failures"],
            first_at=row["first_at"],
            last_at=row["last_at"],
        )
        for row in rows
        if row["user_id"] in users
    ]


def lift_lockout(
    *, actor: "User", user: "User", reason: str, window: Window | None, client_info: ClientInfo
) -> None:
    """Restart the 30-day limit of a user. The shorter limits stay as they are.

    Raises `NotAllowed`, `InvalidReason`, `WindowClosed` and `NotLockedOut`.
    """
    reason = clean_reason(reason)
    with transaction.atomic():
        state = lock_states(actor.pk, user.pk)[user.pk]
        require_account_admin(actor)
        require_admin_evidence(actor=actor, window=window)
        now = timezone.now()
        scopes = [lockout.scope for lockout in month_lockouts(now, user_id=user.pk)]
        if not scopes:
            raise NotLockedOut
        state.lockout_lifted_at = now
        state.save(update_fields=["lockout_lifted_at"])
        event = record(
            event=EventName.MFA_LIFT_LOCKOUT,
            actor=actor,
            target=user,
            client_info=client_info,
            metadata={"reason": reason, "scopes": scopes},
        )
        emails.lockout_lifted(event=event, user=user, by=str(actor), reason=reason)
