"""What it costs: an activation beside the bare SQL, and a sweep beside ten thousand past grants."""

import statistics
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.db import connection
from django.utils import timezone
from psycopg import sql

from accessflows.connectors import idle_pool
from accessflows.connectors.postgresql.connection import conninfo_for
from accessflows.connectors.protocol import GrantSpec, Target
from accessflows.connectors.registry import connector_for
from bench.chaos.ground import PORTAL_ID
from bench.chaos.stage import Stage
from requests_app.drift.scan import due_for_scan
from requests_app.grants.activation import begin_activation
from requests_app.grants.leases import claim
from requests_app.grants.revocation import expire_due
from requests_app.models import AccessRequest, Grant, GrantState, Status
from requests_app.worker import reconciler, steps

TIMES = 60
SWEEPS = 30
LARGEST_RATIO = 1.5
WATCHED_TABLES = ("requests_app_grant", "requests_app_accessrequest")


@dataclass(frozen=True)
class ActivationCost:
    """Medians in milliseconds, taken in turns.

    ``connector_ms`` is as a worker does it, over a connection it keeps; ``cold_ms`` is the first one
    after a while, which signs in like the script; ``whole_ms`` adds the portal's own rows.
    """

    script_ms: float
    connector_ms: float
    cold_ms: float
    whole_ms: float

    @property
    def ratio(self) -> float:
        return round(self.connector_ms / self.script_ms, 2)

    @property
    def cold_ratio(self) -> float:
        return round(self.cold_ms / self.script_ms, 2)

    def as_dict(self) -> dict[str, float]:
        return asdict(self) | {"ratio": self.ratio, "cold_ratio": self.cold_ratio}


@dataclass(frozen=True)
class SweepCost:
    """A sweep that finds nothing to do, without and with past grants. ``scanned`` should be empty."""

    past: int
    without_ms: float
    with_ms: float
    scanned: list[str]


def measure_activation(stage: Stage) -> ActivationCost:
    """A script that does the same, the connector without and with a connection that is kept, and the
    worker's whole step, turn by turn.
    """
    stage.ground.stop_workers()
    target, connector = stage.ground.target, connector_for("postgresql")
    names = ("script", "cold", "connector", "whole")
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(TIMES):
        taken["script"].append(_timed(lambda: _script(target, _spec())))
        idle_pool.connections.close_idle(early=True)
        taken["cold"].append(_timed(lambda: connector.activate(target, _spec())))
        taken["connector"].append(_timed(lambda: connector.activate(target, _spec())))
        request = stage.portal.ask("reader")
        taken["whole"].append(_timed(lambda pk=request.pk: _whole_step(pk)))  # type: ignore[misc]
    made = list(AccessRequest.objects.filter(status=Status.ACTIVE))
    stage.portal.end(stage.portal.grants_of(made))
    stage.need_workers(2)
    stage.portal.wait_ended(stage.portal.grants_of(made), 120)
    for role in connector.list_managed_roles(target, PORTAL_ID, []).roles:
        stage.ground.ask(sql.SQL("DROP ROLE {}").format(sql.Identifier(role.identity.role_name)))
    medians = {name: round(statistics.median(values) * 1000, 2) for name, values in taken.items()}
    return ActivationCost(*(medians[kind] for kind in ("script", "connector", "cold", "whole")))


def _spec() -> GrantSpec:
    deadline = datetime.now(UTC) + timedelta(hours=1)
    return GrantSpec(uuid.uuid4(), PORTAL_ID, "orders", "orders_read", deadline)


def _script(target: Target, spec: GrantSpec) -> None:
    """What one would write by hand: connect, create, comment, grant, commit."""
    options = " WITH INHERIT TRUE, SET FALSE, ADMIN FALSE"
    role = sql.Identifier(spec.role_name)
    with psycopg.connect(conninfo_for(target, target.database)) as session:
        session.execute(
            sql.SQL(
                "CREATE ROLE {} NOLOGIN CONNECTION LIMIT 3 PASSWORD NULL VALID UNTIL {}"
            ).format(role, sql.Literal(spec.deadline.isoformat()))
        )
        marker = f'{{"apono-portal": "{PORTAL_ID}", "grant": "{spec.grant_id}", "deadline": "{spec.deadline.isoformat()}"}}'
        session.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, sql.Literal(marker)))
        grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(spec.permission), role)
        newer = session.info.server_version >= 160000
        session.execute(grant + sql.SQL(options) if newer else grant)


def _whole_step(request_pk: int) -> None:
    request = begin_activation(request_pk=request_pk)
    [integration_id] = request.grants.values_list("integration", flat=True)
    stage = reconciler.Stage.ACTIVATE
    lease, grants = claim(
        "bench", integration_id=integration_id, state=GrantState.ACTIVATING, limit=1,
        duration=stage.lease, now=timezone.now(),
    )  # fmt: skip
    steps.activate(grants, lease)


def measure_sweep(stage: Stage, past: int) -> SweepCost:
    """The same idle sweep before and after there is a past, and whether a plan reads all of it."""
    stage.ground.stop_workers()
    template = stage.portal.ask("reader")
    AccessRequest.objects.filter(pk=template.pk).update(status=Status.CANCELLED)
    _analyze()
    without = _median_sweep_ms()
    _make_past(template, past)
    _analyze()
    return SweepCost(past, without, _median_sweep_ms(), _scanned())


def _idle_sweep() -> None:
    now = timezone.now()
    expire_due(now=now)
    reconciler.run_housekeeping(now)
    reconciler.start_activations()
    reconciler.scopes(now)
    reconciler.next_due_at()
    due_for_scan(now)


def _median_sweep_ms() -> float:
    return round(statistics.median(_timed(_idle_sweep) for _ in range(SWEEPS)) * 1000, 2)


def _make_past(template: AccessRequest, past: int) -> None:
    names = [field.attname for field in AccessRequest._meta.fields if not field.primary_key]
    values = {name: getattr(template, name) for name in names} | {"status": Status.EXPIRED}
    over = timezone.now() - timedelta(days=1)
    values |= {"starts_at": over - timedelta(hours=1), "ends_at": over, "ended_at": over}
    requests = AccessRequest.objects.bulk_create(AccessRequest(**values) for _ in range(past))
    target = template.targets.get()
    Grant.objects.bulk_create(
        Grant(
            request=request,
            integration=target.integration,
            integration_name=target.integration_name,
            resource=target.resource,
            permission=target.permission,
            state=GrantState.REMOVED,
            deadline=over,
            contained_at=over,
            removed_at=over,
        )
        for request in requests
    )


def _scanned() -> list[str]:
    """Queries of an idle sweep whose plan reads one of the growing tables from end to end."""
    asked: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], query: str, values: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        if query.lstrip().upper().startswith(("SELECT", "UPDATE")):
            asked.append((query, values))
        return execute(query, values, many, context)

    with connection.execute_wrapper(note):
        _idle_sweep()
    found = []
    with connection.cursor() as cursor:
        for query, values in asked:
            cursor.execute(f"EXPLAIN {query}", values)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            if any(f"Seq Scan on {table}" in plan for table in WATCHED_TABLES):
                found.append(query[:300])
    return found


def _analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _timed(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    return time.perf_counter() - started
