"""The figures of one day, from the audit log and the rows it names.

Each thing counts on the day it happened, so a day that is over does not change any more. What is
read is bounded by that day: the log's index on ``at``, then rows by their primary key.
"""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from statistics import median
from typing import Any

from django.db.models import Count
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
    "sign_in_held_off": EventName.SESSION_LOCK_OUT,
    "code_refused": EventName.MFA_REFUSE,
    "code_held_off": EventName.MFA_THROTTLE,
    "month_limit": EventName.MFA_LOCK_OUT,
}
VERIFICATIONS = (EventName.MFA_VERIFY, EventName.MFA_REFUSE, EventName.MFA_THROTTLE)
OUTCOME = KeyTextTransform("outcome", "metadata")
# Seconds after the deadline by which access was cut.
PUNCTUAL, WITHIN_MINUTE, WITHIN_FIVE_MINUTES = 5, 60, 300
BATCH = 1000


def figures_between(start: datetime, end: datetime) -> Figures:
    """Return the figures from ``start`` on and before ``end``."""
    events = Event.objects.between(start, end).order_by()
    counted = [*OUTCOMES.values(), *ATTACKS.values()]
    names = _counts(events.filter(event__in=counted), "event")
    outcomes = events.filter(event__in=VERIFICATIONS).annotate(outcome=OUTCOME)
    return {
        "requests": {word: names.get(name.value, 0) for word, name in OUTCOMES.items()},
        "attacks": {word: names.get(name.value, 0) for word, name in ATTACKS.items()},
        "verifications": _counts(outcomes, "outcome"),
        "opening": _opening(events),
        "ending": _ending(events),
        "flows": _flows(events),
    }


def slowest_tenth(values: list[float]) -> float:
    """Return the value that nine tenths do not exceed (nearest rank)."""
    return sorted(values)[math.ceil(len(values) * 0.9) - 1]


def _counts(rows: Any, name: str) -> dict[str, int]:
    found = rows.values_list(name).annotate(n=Count("pk"))
    return {str(key): n for key, n in found if key is not None}


def _opening(events: EventQuerySet) -> Figures:
    """Seconds from draft to open access: median, slowest tenth, of how many requests."""
    opened = events.filter(event=EventName.REQUEST_ACTIVATE).values("request_id")
    requests = AccessRequest.objects.filter(pk__in=opened, starts_at__isnull=False)
    times = requests.order_by().values_list("created_at", "starts_at")
    waits = [(opens - asked).total_seconds() for asked, opens in times if opens]
    if not waits:
        return {}
    return {"median_s": median(waits), "slowest_s": slowest_tenth(waits), "count": len(waits)}


def _ending(events: EventQuerySet) -> Figures:
    """How long after its deadline access was cut, of what ended by time."""
    buckets: Counter[str] = Counter()
    worst: Figures = {}
    for grant in _cut(events):
        late_s = (grant["contained_at"] - grant["deadline"]).total_seconds()
        buckets[_bucket(late_s)] += 1
        if late_s > max(PUNCTUAL, worst.get("late_s", 0)):
            request, where = grant["request_id"], grant["integration_name"]
            worst = {"late_s": late_s, "request": request, "integration": where}
    retries = events.filter(event=EventName.GRANT_RETRY)
    retried = retries.filter(metadata__step="contain").values("target_id").distinct().count()
    return {**buckets, "retried": retried, "worst": worst}


def _bucket(late_s: float) -> str:
    if late_s <= PUNCTUAL:
        return "punctual"
    if late_s <= WITHIN_MINUTE:
        return "minute"
    return "five_minutes" if late_s <= WITHIN_FIVE_MINUTES else "later"


def _cut(events: EventQuerySet) -> Iterator[Figures]:
    """Yield the grants cut that day because their time was up."""
    cut = events.filter(event=EventName.GRANT_CONTAIN).values_list("target_id", flat=True)
    numbers = list(cut.distinct())
    for first in range(0, len(numbers), BATCH):
        grants = Grant.objects.filter(
            pk__in=numbers[first : first + BATCH],
            request__ends_as=Status.EXPIRED,
            contained_at__isnull=False,
        )
        told = ("deadline", "contained_at", "request_id", "integration_name")
        yield from map(dict, grants.order_by().values(*told))


def _flows(events: EventQuerySet) -> dict[str, int]:
    """How many requests were made through each flow, by its number."""
    asked = events.filter(event=EventName.REQUEST_SUBMIT).values("request_id")
    return _counts(AccessRequest.objects.filter(pk__in=asked).order_by(), "flow_id")
