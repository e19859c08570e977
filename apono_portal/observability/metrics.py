"""What to watch, for Prometheus.

Everything is read from the database, so every web process on every machine returns the same. The
figures cover what is open or waiting, never the past: they cost the same however long the portal has
run.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet
from prometheus_client.metrics_core import GaugeMetricFamily as Gauge
from prometheus_client.registry import Collector

from accessflows.models import Integration
from audit.models import ChainState, Checkpoint, Delivery, Event
from requests_app.grants.status import OVERDUE_AFTER
from requests_app.models import LIVE, PENDING, AccessRequest, Drift, Grant, GrantState, Status

RECENTLY = timedelta(minutes=5)


class PortalCollector(Collector):
    """All figures as of ``now``."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Gauge]:
        yield from _access(self._now)
        yield from _record(self._now)
        yield from _targets()


def _access(now: datetime) -> Iterator[Gauge]:
    live = [*PENDING, *LIVE]
    yield _by(
        "portal_requests",
        "Requests that wait or are open, by status.",
        "status",
        AccessRequest.objects.filter(status__in=live),
        [Status(status).value for status in live],
    )
    grants = Grant.objects.live()
    states = [state.value for state in GrantState if state != GrantState.ENDED]
    yield _by(
        "portal_grants", "Grants that are not proven gone, by state.", "state", grants, states
    )
    usable = grants.exclude(state=GrantState.CONTAINED)
    late = usable.filter(deadline__lt=now - OVERDUE_AFTER)
    yield Gauge("portal_grants_overdue", "Grants past their end and not contained.", late.count())
    yield Gauge(
        "portal_grants_overdue_seconds",
        "How long the latest of them is past its end.",
        _age(late.aggregate(at=Min("deadline"))["at"], now),
    )
    retried = grants.filter(attempts__gt=0)
    yield Gauge("portal_grants_retried", "Grants whose last step failed.", retried.count())


def _record(now: datetime) -> Iterator[Gauge]:
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING)
    totals = waiting.aggregate(number=Count("pk"), since=Min("created_at"))
    yield Gauge("portal_deliveries_waiting", "Messages not sent yet.", totals["number"])
    yield Gauge(
        "portal_deliveries_waiting_seconds",
        "How long the oldest of them waits.",
        _age(totals["since"], now),
    )
    state, last = ChainState.objects.first(), Event.objects.order_by("-pk").first()
    behind = max((last.pk if last else 0) - (state.settled_id if state else 0), 0)
    yield Gauge("portal_events_unsealed", "Events not sealed yet.", behind)
    seal = Checkpoint.objects.order_by("-number").first()
    yield Gauge(
        "portal_seal_age_seconds",
        "Age of the last seal.",
        _age(seal.created_at if seal else None, now),
    )
    findings = state.findings if state else 0
    yield Gauge("portal_chain_findings", "What the last verification found wrong.", findings)
    yield _by(
        "portal_events_lately",
        "Events of the last five minutes, by name.",
        "event",
        Event.objects.filter(at__gt=now - RECENTLY),
    )


def _targets() -> Iterator[Gauge]:
    integrations = Integration.objects.filter(is_active=True)
    known = [health.value for health in Integration.Health]
    yield _by(
        "portal_integrations", "Integrations in use, by health.", "health", integrations, known
    )
    drifts = Drift.objects.open().count()
    yield Gauge("portal_drifts", "Differences found on targets that still stand.", drifts)


def _by(
    name: str, explained: str, column: str, rows: QuerySet[Any], known: list[str] | None = None
) -> Gauge:
    """Count rows by a column; ``known`` values are listed even when no row has them."""
    counts = dict.fromkeys(known or [], 0)
    counts |= dict(rows.order_by().values_list(column).annotate(n=Count("pk")))
    gauge = Gauge(name, explained, labels=[column])
    for value, count in sorted(counts.items()):
        gauge.add_metric([value], count)
    return gauge


def _age(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0) if since else 0
