"""Prometheus metrics.

They are read from the database, so every web process on every machine returns the same. They cover
current state only, so their cost does not grow with history.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet
from prometheus_client.metrics_core import GaugeMetricFamily as Gauge
from prometheus_client.registry import Collector

from accessflows.models import Integration
from audit.events import EventName
from audit.integrity.signed_checkpoints import latest_signed_checkpoint
from audit.models import (
    ChainState,
    Checkpoint,
    CheckpointDestination,
    Delivery,
    Event,
    StreamDestination,
)
from requests_app.grants.status import OVERDUE_AFTER
from requests_app.models import (
    LIVE,
    PENDING,
    AccessRequest,
    Drift,
    Grant,
    GrantState,
    Status,
    WorkerHeartbeat,
)
from requests_app.querysets import WORKER_SILENT_AFTER

RECENT = timedelta(minutes=5)
SIGN_INS = {
    "success": EventName.SESSION_SIGN_IN,
    "failure": EventName.SESSION_SIGN_IN_FAIL,
    "lockout": EventName.SESSION_LOCK_OUT,
}
CODES = {
    "success": EventName.MFA_VERIFY,
    "failure": EventName.MFA_REFUSE,
    "rate_limited": EventName.MFA_THROTTLE,
    "lockout": EventName.MFA_LOCK_OUT,
}


class PortalCollector(Collector):
    """Collect all metrics as of ``now``."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Gauge]:
        yield from _access(self._now)
        yield from _outbox(self._now)
        yield from _audit_log(self._now)
        yield from _targets()


def _access(now: datetime) -> Iterator[Gauge]:
    live = [Status(status).value for status in (*PENDING, *LIVE)]
    requests = AccessRequest.objects.filter(status__in=live).order_by().values_list("status")
    rows = requests.annotate(number=Count("pk"), since=Min("status_changed_at"))
    numbers = {status: (number, since) for status, number, since in rows}
    yield _gauges(
        "portal_requests",
        "Pending and active requests, by status.",
        "status",
        {status: numbers.get(status, (0, None))[0] for status in live},
    )
    yield _gauges(
        "portal_requests_oldest_seconds",
        "Time since the first of them got its status.",
        "status",
        {status: _age(numbers.get(status, (0, None))[1], now) for status in live},
    )
    grants = Grant.objects.live()
    states = [state.value for state in GrantState if state != GrantState.REMOVED]
    yield _by(
        "portal_grants", "Grants whose removal is not verified, by state.", "state", grants, states
    )
    yield from _grants_late(grants, now)
    yield from _workers(now)


def _grants_late(grants: QuerySet[Grant], now: datetime) -> Iterator[Gauge]:
    overdue = Q(deadline__lt=now - OVERDUE_AFTER) & ~Q(state=GrantState.CONTAINED)
    totals = grants.aggregate(
        number=Count("pk", filter=overdue),
        since=Min("deadline", filter=overdue),
        retried=Count("pk", filter=Q(attempts__gt=0)),
    )
    yield Gauge("portal_grants_overdue", "Expired grants that are not contained.", totals["number"])
    yield Gauge(
        "portal_grants_overdue_seconds",
        "Time since the first of them expired.",
        _age(totals["since"], now),
    )
    yield Gauge(
        "portal_grants_retried",
        "Grants whose last step failed and is being retried.",
        totals["retried"],
    )


def _workers(now: datetime) -> Iterator[Gauge]:
    running = Q(seen_at__gt=now - WORKER_SILENT_AFTER)
    totals = WorkerHeartbeat.objects.aggregate(
        number=Count("pk", filter=running), seen_at=Max("seen_at")
    )
    yield Gauge(
        "portal_workers",
        "Workers that completed a round in the last 45 seconds.",
        totals["number"],
    )
    yield Gauge(
        "portal_worker_heartbeat_age_seconds",
        "Time since any worker reported. 0 if none did within a day.",
        _age(totals["seen_at"], now),
    )


def _outbox(now: datetime) -> Iterator[Gauge]:
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING)
    totals = waiting.aggregate(number=Count("pk"), since=Min("created_at"))
    yield Gauge("portal_deliveries_waiting", "Deliveries not sent yet.", totals["number"])
    yield Gauge(
        "portal_deliveries_waiting_seconds",
        "Time since the oldest of them was created.",
        _age(totals["since"], now),
    )


def _audit_log(now: datetime) -> Iterator[Gauge]:
    state, last = ChainState.objects.first(), Event.objects.order_by("-pk").first()
    unsettled = max((last.pk if last else 0) - (state.settled_id if state else 0), 0)
    yield Gauge("portal_events_not_checkpointed", "Events after the last checkpoint.", unsettled)
    checkpoint = Checkpoint.objects.order_by("-number").first()
    yield Gauge(
        "portal_checkpoint_age_seconds",
        "Age of the last audit checkpoint.",
        _age(checkpoint.created_at if checkpoint else None, now),
    )
    signed = latest_signed_checkpoint()
    unsigned = (checkpoint.last_position if checkpoint else 0) - (signed.size if signed else 0)
    yield Gauge(
        "portal_events_not_signed", "Events after the last signed checkpoint.", max(unsigned, 0)
    )
    yield Gauge(
        "portal_signed_checkpoint_age_seconds",
        "Age of the last signed checkpoint.",
        _age(signed.created_at if signed else None, now),
    )
    failing = CheckpointDestination.objects.filter(attempts__gt=0).count()
    yield Gauge(
        "portal_checkpoint_destinations_failing",
        "Destinations that do not accept signed checkpoints.",
        failing,
    )
    yield Gauge(
        "portal_siems_failing",
        "SIEMs that do not accept audit events.",
        StreamDestination.objects.filter(attempts__gt=0).count(),
    )
    findings = state.findings if state else 0
    yield Gauge("portal_chain_findings", "Findings of the last audit log verification.", findings)
    yield from _recent_events(now)


def _recent_events(now: datetime) -> Iterator[Gauge]:
    recent = Event.objects.filter(at__gt=now - RECENT).order_by()
    counts = dict(recent.values_list("event").annotate(n=Count("pk")))
    yield _gauges("portal_recent_events", "Events of the last 5 minutes, by name.", "event", counts)
    for name, what, outcomes in (
        ("portal_recent_sign_ins", "Sign-ins", SIGN_INS),
        ("portal_recent_codes", "Codes and passkeys", CODES),
    ):
        numbers = {outcome: counts.get(event, 0) for outcome, event in outcomes.items()}
        yield _gauges(name, f"{what} of the last 5 minutes, by outcome.", "outcome", numbers)


def _targets() -> Iterator[Gauge]:
    active = Integration.objects.filter(is_active=True).order_by("name")
    rows = list(active.values_list("name", "health", "scan__seconds"))
    healths = Counter(health for _, health, _ in rows)
    yield _gauges(
        "portal_integrations",
        "Active integrations, by health.",
        "health",
        {health.value: healths[health.value] for health in Integration.Health},
    )
    yield _gauges(
        "portal_target_scan_seconds",
        "Time that the last scan of a target took.",
        "integration",
        {name: seconds for name, _, seconds in rows if seconds is not None},
    )
    drifts = Drift.objects.open().count()
    yield Gauge("portal_drifts", "Unresolved drift on targets.", drifts)


def _by(
    name: str, help_text: str, column: str, rows: QuerySet[Any], values: Sequence[str] = ()
) -> Gauge:
    """Count rows by the values of a column, including ``values`` that no row has."""
    counts = dict.fromkeys(values, 0)
    counts |= dict(rows.order_by().values_list(column).annotate(n=Count("pk")))
    return _gauges(name, help_text, column, counts)


def _gauges(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Gauge:
    gauge = Gauge(name, help_text, labels=[label])
    for value, number in sorted(values.items()):
        gauge.add_metric([value], number)
    return gauge


def _age(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0) if since else 0
