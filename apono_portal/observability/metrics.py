"""Prometheus metrics.

They are read from the database, so every web process on every machine returns the same. They cover
current state only, so their cost does not grow with history.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet
from prometheus_client.metrics_core import GaugeMetricFamily as Gauge
from prometheus_client.registry import Collector

from accessflows.models import Integration
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

RECENT = timedelta(minutes=5)


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
    live = [*PENDING, *LIVE]
    yield _by(
        "portal_requests",
        "Pending and active requests, by status.",
        "status",
        AccessRequest.objects.filter(status__in=live),
        [Status(status).value for status in live],
    )
    grants = Grant.objects.live()
    states = [state.value for state in GrantState if state != GrantState.REMOVED]
    yield _by(
        "portal_grants", "Grants whose removal is not verified, by state.", "state", grants, states
    )
    usable = grants.exclude(state=GrantState.CONTAINED)
    overdue = usable.filter(deadline__lt=now - OVERDUE_AFTER)
    yield Gauge("portal_grants_overdue", "Expired grants that are not contained.", overdue.count())
    yield Gauge(
        "portal_grants_overdue_seconds",
        "Time since the first of them expired.",
        _age(overdue.aggregate(at=Min("deadline"))["at"], now),
    )
    yield Gauge(
        "portal_workers",
        "Workers that completed a round in the last 45 seconds.",
        WorkerHeartbeat.objects.running(now).count(),
    )
    retried = grants.filter(attempts__gt=0)
    yield Gauge(
        "portal_grants_retried",
        "Grants whose last step failed and is being retried.",
        retried.count(),
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
    yield _by(
        "portal_recent_events",
        "Events of the last 5 minutes, by name.",
        "event",
        Event.objects.filter(at__gt=now - RECENT),
    )


def _targets() -> Iterator[Gauge]:
    integrations = Integration.objects.filter(is_active=True)
    healths = [health.value for health in Integration.Health]
    yield _by(
        "portal_integrations", "Active integrations, by health.", "health", integrations, healths
    )
    drifts = Drift.objects.open().count()
    yield Gauge("portal_drifts", "Unresolved drift on targets.", drifts)


def _by(
    name: str, help_text: str, column: str, rows: QuerySet[Any], values: Sequence[str] = ()
) -> Gauge:
    """Count rows by the values of a column, including ``values`` that no row has."""
    counts = dict.fromkeys(values, 0)
    counts |= dict(rows.order_by().values_list(column).annotate(n=Count("pk")))
    gauge = Gauge(name, help_text, labels=[column])
    for value, count in sorted(counts.items()):
        gauge.add_metric([value], count)
    return gauge


def _age(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0) if since else 0
