"""Reads that cross models: a set-up under way, and who is held off by the 30-day limit."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count, F, Max, Min, Q, QuerySet

from apono_portal.core.db.prepared import prepared
from mfa.models import Verification
from mfa.verification.rate_limits import LIMITS, MONTH
from mfa.verification.throttle_scope import RECOVERY_LANE

# What counts towards the 30-day limit: nothing from before an admin lifted it.
SINCE_LIFTED = Q(user__mfa_state__lockout_lifted_at=None) | Q(
    at__gt=F("user__mfa_state__lockout_lifted_at")
)


@dataclass(frozen=True, slots=True)
class Hold:
    """A scope whose 30-day budget is spent."""

    user: Any
    scope: str
    failures: int
    first_at: datetime
    last_at: datetime

    @property
    def place(self) -> str:
        """The scope in words."""
        kind, _, number = self.scope.partition(":")
        if kind == Verification.SET_UP_SCOPE:
            return "While setting up"
        factor = "recovery codes" if kind == RECOVERY_LANE else "codes"
        return f"Known browser {number}, {factor}" if number else f"New browsers, {factor}"


def scopes_at_month_limit(*, now: datetime, user_id: int | None = None) -> list[Hold]:
    """Return the scopes held off by the 30-day limit, latest failure first. Two queries."""
    ledger = Verification.objects.failures().since(now - MONTH.period).filter(SINCE_LIFTED)
    if user_id is not None:
        ledger = ledger.filter(user_id=user_id)
    spent = (
        ledger.order_by()
        .values("user_id", "scope")
        .annotate(failures=Count("pk"), first_at=Min("at"), last_at=Max("at"))
        .filter(failures__gte=MONTH.failures)
        .order_by("-last_at")
    )
    rows = list(spent)
    people = get_user_model()._default_manager.in_bulk({row["user_id"] for row in rows})
    return [
        Hold(
            user=people[row["user_id"]],
            scope=row["scope"],
            failures=row["failures"],
            first_at=row["first_at"],
            last_at=row["last_at"],
        )
        for row in rows
        if row["user_id"] in people
    ]


def users_locked_out(*, now: datetime, user_ids: Collection[int] | None = None) -> set[int]:
    """Return the numbers of people one of whose scopes takes no codes now (mfa/verification/rate_limits.py). One query."""
    if user_ids is not None and not user_ids:
        return set()
    return set(_people_held_off(*limit_starts(now), user_ids or ()))


def limit_starts(now: datetime) -> list[datetime]:
    return [now - limit.period for limit in LIMITS]


@prepared(*[datetime] * len(LIMITS), [int])
def _people_held_off(*given: Any) -> QuerySet[Any, Any]:
    return _held_off(given[:-1], given[-1])


def scopes_locked_out(begins: Sequence[datetime], user_ids: Collection[int]) -> QuerySet[Any, Any]:
    """The question whose scopes are held off, to be asked together with others (`limit_starts`)."""
    return _held_off(begins, user_ids)


def _held_off(begins: Sequence[datetime], user_ids: Collection[int]) -> QuerySet[Any, Any]:
    """Who is held off now: among some people, of all if there are none."""
    ledger = Verification.objects.failures().since(begins[LIMITS.index(MONTH)])
    if user_ids:
        ledger = ledger.filter(user__in=user_ids)
    scopes = ledger.order_by().values("user_id", "scope")
    # Few have failed as often as any limit wants, as an index alone tells; only their scopes are read.
    people = ledger.order_by().values("user_id")
    often = people.annotate(n=Count("*")).filter(n__gte=min(each.failures for each in LIMITS))
    scopes = scopes.filter(user__in=often.values("user_id"))
    spent = Q()
    for number, (limit, begin) in enumerate(zip(LIMITS, begins, strict=True)):
        counting = Q(at__gt=begin) & (SINCE_LIFTED if limit is MONTH else Q())
        scopes = scopes.annotate(**{f"n{number}": Count("pk", filter=counting)})
        spent |= Q(**{f"n{number}__gte": limit.failures})
    return scopes.filter(spent).values_list("user_id", flat=True)
