"""How workers share what admins asked for: one takes a run, holds it step by step, and finishes it.

A killed worker's lease runs out by the database's clock, and another closes the run.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accessflows.models import IntegrationJob

State = IntegrationJob.State
# Longer than any one step takes.
LEASE = timedelta(minutes=2)
Run = TypeVar("Run", bound=IntegrationJob)


def take(run: IntegrationJob) -> str:
    """Return the lease under which a waiting run is this worker's, or "" if another has it."""
    lease = secrets.token_hex(8)
    waiting = _rows(run).filter(pk=run.pk, state=State.WAITING)
    taken = waiting.update(
        state=State.RUNNING,
        started_at=timezone.now(),
        lease_by=lease,
        lease_until=Now() + LEASE,
    )
    return lease if taken else ""


def hold(run: IntegrationJob, lease: str, **changes: Any) -> bool:
    """Store how far a run is, and go on holding it. False if it is not this worker's any more."""
    return bool(_held(run, lease).update(lease_until=Now() + LEASE, **changes))


def finish(
    run: IntegrationJob, lease: str, *, state: str, at: datetime | None = None, **changes: Any
) -> bool:
    """Close a run. False if it is not this worker's any more."""
    ended = {"state": state, "finished_at": at or timezone.now()}
    return bool(_held(run, lease).update(lease_by="", lease_until=None, **ended, **changes))


def stopped(model: type[Run]) -> "QuerySet[Run]":
    """Return the runs whose worker was killed."""
    return model._default_manager.filter(state=State.RUNNING, lease_until__lt=Now())


def _held(run: IntegrationJob, lease: str) -> "QuerySet[IntegrationJob]":
    return _rows(run).filter(pk=run.pk, lease_by=lease, state=State.RUNNING)


def _rows(run: IntegrationJob) -> "QuerySet[IntegrationJob]":
    return type(run)._default_manager.all()
