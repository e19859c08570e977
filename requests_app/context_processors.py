"""What every page says about requests: the counts in the navigation, what is pending_mfa, what is overdue."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet, Value
from django.http import HttpRequest
from django.utils import timezone

from apono_portal.core.db.prepared import prepared
from requests_app.grants.status import OVERDUE_AFTER, find_overdue
from requests_app.models import AccessRequest, Grant

NAMED_IN_BANNER = 3
PARKED, WAITING, LATE = range(3)
News = QuerySet[Any, Any]  # rows of what they tell of, a number, and words


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Return the counts, the banner of what is pending_mfa, and for account admins and auditors what is
    overdue. One query, another if anything is overdue; none for strangers.

    A view that knows how many wait for approval leaves ``request.approvals_waiting``, and they are not
    counted again.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"nav": {"my_requests_waiting": 0, "approvals_waiting": 0}}
    now = timezone.now()
    waiting: int | None = getattr(request, "approvals_waiting", None)
    told = _ask(user, now, counted=waiting is not None)
    pending_mfa = sorted(((pk, flow) for what, pk, flow in told if what == PARKED), reverse=True)
    if waiting is None:
        waiting = _number(told, WAITING)
    counts = {"my_requests_waiting": len(pending_mfa), "approvals_waiting": waiting}
    overdue = find_overdue(now) if _number(told, LATE) else None
    names = [f"AR-{pk} {flow}" for pk, flow in pending_mfa]
    return {"nav": counts, "overdue": overdue} | _banner(request, names)


def _number(told: Iterable[tuple[int, int, str]], wanted: int) -> int:
    return sum(number for what, number, _ in told if what == wanted)


def _ask(user: Any, now: datetime, *, counted: bool) -> list[tuple[int, int, str]]:
    if user.can_read_everything:
        ask = _parked_and_late if counted else _all
        return ask(user.pk, now, now - OVERDUE_AFTER)
    ask = _parked_only if counted else _parked_and_waiting
    return ask(user.pk, now)


@prepared(int, datetime)
def _parked_only(user_id: int, now: datetime) -> News:
    return _parked(user_id, now)


@prepared(int, datetime)
def _parked_and_waiting(user_id: int, now: datetime) -> News:
    return _parked(user_id, now).union(_waiting(user_id, now), all=True)


@prepared(int, datetime, datetime)
def _parked_and_late(user_id: int, now: datetime, moment: datetime) -> News:
    return _parked(user_id, now).union(_late(moment), all=True)


@prepared(int, datetime, datetime)
def _all(user_id: int, now: datetime, moment: datetime) -> News:
    return _parked(user_id, now).union(_waiting(user_id, now), _late(moment), all=True)


def _parked(user_id: int, now: datetime) -> News:
    pending_mfa = AccessRequest.objects.filter(requester=user_id).pending_mfa()
    pending_mfa = pending_mfa.filter(pending_until__gt=now).order_by()
    return pending_mfa.values_list(Value(PARKED), "pk", "flow_name")


def _waiting(user_id: int, now: datetime) -> News:
    waiting = AccessRequest.objects.awaiting_decision_by(user_id).filter(pending_until__gt=now)
    return _counted(waiting, WAITING)


def _late(moment: datetime) -> News:
    return _counted(Grant.objects.past_their_end(moment), LATE)


def _counted(found: QuerySet[Any], what: int) -> News:
    counted = found.order_by().values(what=Value(what)).annotate(number=Count("pk"))
    told: News = counted.values_list("what", "number", Value(""))
    return told


def _banner(request: HttpRequest, names: list[str]) -> dict[str, Any]:
    """Say what waits for a code, or for set-up; nothing pending_mfa leaves the banner as it is."""
    state = getattr(request, "mfa", None)
    if not names or state is None:
        return {}
    label = ", ".join(names[:NAMED_IN_BANNER])
    if len(names) > NAMED_IN_BANNER:
        label += f" and {len(names) - NAMED_IN_BANNER} more"
    kind = "enter_code" if state.enrolled else "set_up"
    return {"mfa_banner": {"kind": kind, "parked_label": label}}
