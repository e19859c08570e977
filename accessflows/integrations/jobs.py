"""Leases on the jobs that admins request: a worker acquires one, renews its lease, and finishes it.

The lease of a killed worker expires by the database's clock; another worker then closes the job.
"""

import secrets
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accessflows.models import IntegrationJob

State = IntegrationJob.State
LEASE = timedelta(minutes=2)  # longer than any single step takes
Job = TypeVar("Job", bound=IntegrationJob)


def acquire(job: IntegrationJob) -> str:
    """Return the lease under which a waiting job is this worker's, or "" if another has it."""
    lease = secrets.token_hex(8)
    waiting = _rows(job).filter(state=State.WAITING)
    acquired = waiting.update(
        state=State.RUNNING,
        started_at=timezone.now(),
        lease_by=lease,
        lease_until=Now() + LEASE,
    )
    return lease if acquired else ""


def heartbeat(job: IntegrationJob, lease: str, **progress: object) -> bool:
    """Store a job's progress and renew its lease. False if it is no longer this worker's."""
    return bool(_leased(job, lease).update(lease_until=Now() + LEASE, **progress))


def finish(
    job: IntegrationJob, lease: str, *, state: str, at: datetime | None = None, **result: object
) -> bool:
    """Close a job. False if it is no longer this worker's."""
    closed = {"state": state, "finished_at": at or timezone.now()}
    return bool(_leased(job, lease).update(lease_by="", lease_until=None, **closed, **result))


def abandoned(model: type[Job]) -> "QuerySet[Job]":
    """Return the jobs whose worker was killed."""
    return model._default_manager.filter(state=State.RUNNING, lease_until__lt=Now())


def _leased(job: IntegrationJob, lease: str) -> "QuerySet[IntegrationJob]":
    return _rows(job).filter(lease_by=lease, state=State.RUNNING)


def _rows(job: IntegrationJob) -> "QuerySet[IntegrationJob]":
    return type(job)._default_manager.filter(pk=job.pk)
