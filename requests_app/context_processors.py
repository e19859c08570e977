"""What every page says about one's requests: the counts in the navigation, what is parked."""

from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet, Value
from django.http import HttpRequest
from django.utils import timezone

from audit.prepared import prepared
from requests_app.models import AccessRequest

NAMED_IN_BANNER = 3


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Return the counts, and the banner of what is parked. Two queries; none for strangers.

    A view that has read what is parked leaves it as ``request.parked``, one that knows how many
    wait for approval leaves ``request.approvals_waiting``, and it is not asked for again.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"nav": {"my_requests_waiting": 0, "approvals_waiting": 0}}
    now = timezone.now()
    read: list[AccessRequest] | None = getattr(request, "parked", None)
    parked = _parked(user.pk, now) if read is None else [(each.pk, each.flow_name) for each in read]
    names = [f"AR-{pk} {flow}" for pk, flow in parked]
    waiting: int | None = getattr(request, "approvals_waiting", None)
    if waiting is None:
        waiting = _waiting.first(user.pk, now) or 0
    counts = {"my_requests_waiting": len(names), "approvals_waiting": waiting}
    return {"nav": counts} | _banner(request, names)


@prepared(int, datetime)
def _parked(user_id: int, now: datetime) -> QuerySet[Any, Any]:
    parked = AccessRequest.objects.filter(requester=user_id).parked()
    return parked.filter(pending_until__gt=now).values_list("pk", "flow_name")


@prepared(int, datetime)
def _waiting(user_id: int, now: datetime) -> QuerySet[Any, Any]:
    waiting = AccessRequest.objects.awaiting_decision_by(user_id).filter(pending_until__gt=now)
    counted = waiting.order_by().values(all=Value(1)).annotate(number=Count("pk"))
    return counted.values_list("number", flat=True)


def _banner(request: HttpRequest, names: list[str]) -> dict[str, Any]:
    """Say what waits for a code, or for set-up; nothing parked leaves the banner as it is."""
    state = getattr(request, "mfa", None)
    if not names or state is None:
        return {}
    label = ", ".join(names[:NAMED_IN_BANNER])
    if len(names) > NAMED_IN_BANNER:
        label += f" and {len(names) - NAMED_IN_BANNER} more"
    kind = "enter_code" if state.enrolled else "set_up"
    return {"mfa_banner": {"kind": kind, "parked_label": label}}
