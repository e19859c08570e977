"""What to watch, as Prometheus reads it (text exposition format 0.0.4).

Everything is read from the database, so any web process on any machine tells the same. The figures
cover what is open or waiting, never the past: they cost the same however long the portal has run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet

from accessflows.models import Integration
from audit.models import ChainState, Checkpoint, Delivery, Event
from requests_app.grants.status import OVERDUE_AFTER
from requests_app.models import LIVE, PENDING, AccessRequest, Drift, Grant, GrantState, Status

LATELY = timedelta(minutes=5)
Samples = list[tuple[dict[str, str], float]]


@dataclass(frozen=True)
class Gauge:
    """One figure, or one for each value of a label."""

    name: str
    help: str
    samples: Samples = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} gauge"
        for labels, value in self.samples:
            told = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"{self.name}{{{told}}} {value:g}" if told else f"{self.name} {value:g}"


def exposition(now: datetime) -> str:
    """Return all figures of this moment."""
    gauges = [*_access(now), *_record(now), *_targets()]
    return "".join(f"{line}\n" for gauge in gauges for line in gauge.lines())


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
    yield _one("portal_grants_overdue", "Grants past their end and not contained.", late.count())
    yield _one(
        "portal_grants_overdue_seconds",
        "How long the latest of them is past its end.",
        _age(late.aggregate(at=Min("deadline"))["at"], now),
    )
    retried = grants.filter(attempts__gt=0)
    yield _one("portal_grants_retried", "Grants whose last step failed.", retried.count())


def _record(now: datetime) -> Iterator[Gauge]:
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING)
    told = waiting.aggregate(number=Count("pk"), since=Min("created_at"))
    yield _one("portal_deliveries_waiting", "Messages not sent yet.", told["number"])
    yield _one(
        "portal_deliveries_waiting_seconds",
        "How long the oldest of them waits.",
        _age(told["since"], now),
    )
    state, last = ChainState.objects.first(), Event.objects.order_by("-pk").first()
    behind = max((last.pk if last else 0) - (state.settled_id if state else 0), 0)
    yield _one("portal_events_unsealed", "Events not sealed yet.", behind)
    seal = Checkpoint.objects.order_by("-number").first()
    yield _one(
        "portal_seal_age_seconds",
        "Age of the last seal.",
        _age(seal.created_at if seal else None, now),
    )
    findings = state.findings if state else 0
    yield _one("portal_chain_findings", "What the last verification found wrong.", findings)
    yield _by(
        "portal_events_lately",
        "Events of the last five minutes, by name.",
        "event",
        Event.objects.filter(at__gt=now - LATELY),
    )


def _targets() -> Iterator[Gauge]:
    integrations = Integration.objects.filter(is_active=True)
    known = [health.value for health in Integration.Health]
    yield _by(
        "portal_integrations", "Integrations in use, by health.", "health", integrations, known
    )
    drifts = Drift.objects.open().count()
    yield _one("portal_drifts", "Differences found on targets that still stand.", drifts)


def _one(name: str, explained: str, value: float) -> Gauge:
    return Gauge(name, explained, [({}, value)])


def _by(
    name: str, explained: str, column: str, rows: QuerySet[Any], known: list[str] | None = None
) -> Gauge:
    """Count rows by a column; values that are ``known`` are told also when there is none."""
    counted = dict.fromkeys(known or [], 0)
    counted |= dict(rows.order_by().values_list(column).annotate(n=Count("pk")))
    return Gauge(name, explained, [({column: value}, n) for value, n in sorted(counted.items())])


def _age(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0) if since else 0


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
