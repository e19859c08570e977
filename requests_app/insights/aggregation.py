"""The figures of one day, from the audit log and the rows it refers to.

Everything counts on the day it happened, so a past day no longer changes. Queries are bounded by
the day: the log's index on ``at``, then rows by primary key.
"""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from django.db.models import Count, QuerySet
from django.db.models.fields.json import KeyTextTransform

from audit.events import EventName
from audit.models import Event
from audit.querysets import EventQuerySet
from requests_app.models import AccessRequest, Grant, Status

Figures = dict[str, Any]

OUTCOMES = {
    "granted": EventName.REQUEST_ACTIVATE,
    "rejected": EventName.REQUEST_REJECT,
    "lapsed": EventName.REQUEST_LAPSE,
    "cancelled": EventName.REQUEST_CANCEL,
    "failed": EventName.REQUEST_FAIL,
}
ATTACKS = {
    "sign_in_refused": EventName.SESSION_SIGN_IN_FAIL,
    "sign_in_blocked": EventName.SESSION_LOCK_OUT,
    "code_refused": EventName.MFA_REFUSE,
    "code_blocked": EventName.MFA_THROTTLE,
    "month_limit": EventName.MFA_LOCK_OUT,
}
BREAK_GLASS = {
    "used": EventName.REQUEST_BREAK_GLASS,
    "reviewed": EventName.REQUEST_REVIEW,
}
VERIFICATIONS = (EventName.MFA_VERIFY, EventName.MFA_REFUSE, EventName.MFA_THROTTLE)
OUTCOME = KeyTextTransform("outcome", "metadata")
METHOD = KeyTextTransform("method", "metadata")
# Upper bounds of the delay between deadline and revocation, in seconds.
DELAYS = {"punctual": 5, "minute": 60, "five_minutes": 300, "later": math.inf}
BATCH_SIZE = 1000


def figures_between(start: datetime, end: datetime) -> Figures:
    """Return the figures from ``start`` up to, not including, ``end``."""
    events = Event.objects.between(start, end).order_by()
    counted = events.filter(
        event__in=[*OUTCOMES.values(), *ATTACKS.values(), *BREAK_GLASS.values()]
    )
    by_event = _count_by(counted, "event")
    outcomes = events.filter(event__in=VERIFICATIONS).annotate(outcome=OUTCOME)
    successes = events.filter(event=EventName.MFA_VERIFY).annotate(method=METHOD)
    return {
        "requests": {name: by_event.get(event.value, 0) for name, event in OUTCOMES.items()},
        "attacks": {name: by_event.get(event.value, 0) for name, event in ATTACKS.items()},
        "break_glass": {name: by_event.get(event.value, 0) for name, event in BREAK_GLASS.items()},
        "verifications": _count_by(outcomes, "outcome"),
        "methods": _count_by(successes, "method"),
        "time_to_access": _time_to_access(events),
        "revocations": _revocations(events),
        "flows": _requests_by_flow(events),
    }


def slowest_tenth(values: list[float]) -> float:
    """Return the 90th percentile (nearest rank)."""
    return sorted(values)[math.ceil(len(values) * 0.9) - 1]


def _count_by(rows: QuerySet[Any], name: str) -> dict[str, int]:
    counts = rows.values_list(name).annotate(count=Count("pk"))
    return {str(key): count for key, count in counts if key is not None}


def _time_to_access(events: EventQuerySet) -> Figures:
    """Return median and 90th percentile of the seconds from request to access, and their number."""
    activated = events.filter(event=EventName.REQUEST_ACTIVATE).values("request_id")
    requests = AccessRequest.objects.filter(pk__in=activated, starts_at__isnull=False)
    times = requests.order_by().values_list("created_at", "starts_at")
    waits = [(starts - created).total_seconds() for created, starts in times if starts]
    if not waits:
        return {}
    return {"median_s": median(waits), "slowest_s": slowest_tenth(waits), "count": len(waits)}


def _revocations(events: EventQuerySet) -> Figures:
    """Count expired grants by the delay of their revocation, and return the worst delay."""
    counts: Counter[str] = Counter()
    worst: Figures = {}
    for grant, delay in _expired_grants(events):
        delay_s = delay.total_seconds()
        counts[next(name for name, bound in DELAYS.items() if delay_s <= bound)] += 1
        if delay_s > max(DELAYS["punctual"], worst.get("delay_s", 0)):
            worst = {
                "delay_s": delay_s,
                "request": grant.request_id,
                "integration": grant.integration_name,
            }
    retries = events.filter(event=EventName.GRANT_RETRY, metadata__step="contain")
    retried = retries.values("target_id").distinct().count()
    return {**counts, "retried": retried, "worst": worst}


def _expired_grants(events: EventQuerySet) -> Iterator[tuple[Grant, timedelta]]:
    """Yield the grants contained that day because they expired, and how late that was."""
    contained = events.filter(event=EventName.GRANT_CONTAIN)
    pks = list(contained.values_list("target_id", flat=True).distinct())
    for start in range(0, len(pks), BATCH_SIZE):
        grants = Grant.objects.filter(
            pk__in=pks[start : start + BATCH_SIZE], request__final_status=Status.EXPIRED
        )
        fields = ("deadline", "contained_at", "request_id", "integration_name")
        for grant in grants.order_by().only(*fields):
            if grant.contained_at is not None:
                yield grant, grant.contained_at - grant.deadline


def _requests_by_flow(events: EventQuerySet) -> dict[str, int]:
    """Count the requests submitted, by the id of their flow."""
    submitted = events.filter(event=EventName.REQUEST_SUBMIT).values("request_id")
    return _count_by(AccessRequest.objects.filter(pk__in=submitted).order_by(), "flow_id")
