"""Reconcile targets with the portal's rows, step by step, without ever giving up.

Work is found in the rows, by queues of one stage at one integration each. Containment comes first.
Any number of workers share the work through the database; nothing is kept in the queues themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db import transaction
from django.db.models import Min, QuerySet
from django.utils import timezone

from requests_app.approvals.escalation import escalate_due
from requests_app.grants.activation import begin_activation
from requests_app.grants.leases import claim
from requests_app.grants.reminders import record_reminders
from requests_app.grants.revocation import lapse_overdue, revoke_ineligible
from requests_app.lifecycle import take_batch
from requests_app.models import AccessRequest, Extension, Grant, GrantState, Status
from requests_app.worker import steps

MAX_ACTIVATIONS = 20  # in one call


class Stage(StrEnum):
    """What is done to grants in a state, in order of urgency."""

    CONTAIN = GrantState.REVOKING.value
    ACTIVATE = GrantState.ACTIVATING.value
    CLEAN = GrantState.CONTAINED.value

    @property
    def batch(self) -> int:
        """How many grants share a connection; activations do not, so that leases stay short."""
        return {Stage.CONTAIN: 250, Stage.ACTIVATE: 1, Stage.CLEAN: 20}[self]

    @property
    def lease(self) -> timedelta:
        """How long the grants of a dead worker wait for another one.

        Containment may run twice at once, so it waits only half an interval.
        """
        if self is Stage.CONTAIN:
            return timedelta(seconds=settings.WORKER_INTERVAL_S / 2)
        lease: timedelta = settings.WORKER_LEASE
        return lease

    @property
    def handler(self) -> Callable[[list[Grant], str], None]:
        return {
            Stage.CONTAIN: steps.contain,
            Stage.ACTIVATE: steps.activate,
            Stage.CLEAN: steps.clean,
        }[self]


@dataclass(frozen=True)
class WorkQueue:
    """One stage at one integration, so that no target waits for another."""

    stage: Stage
    integration_id: int | None


def run_housekeeping(now: datetime) -> int:
    """Lapse, revoke, escalate and remind what is due, and return how many."""
    handled = lapse_overdue(now=now) + revoke_ineligible() + escalate_due(now=now)
    return handled + record_reminders(now=now)


def pending_activations() -> QuerySet[AccessRequest]:
    """Return approved requests whose activation has not started."""
    return AccessRequest.objects.filter(status=Status.GRANTING, grants=None)


def start_activations(limit: int = MAX_ACTIVATIONS) -> int:
    """Start pending activations; a request that something else has locked is left for later."""
    with transaction.atomic():
        pks = [request.pk for request in take_batch(pending_activations().order_by("pk"))[:limit]]
    for pk in pks:
        begin_activation(request_pk=pk)
    return len(pks)


def work_queues(now: datetime) -> list[WorkQueue]:
    """Return the queues that have due work, the most urgent stage first."""
    rows = Grant.objects.to_work_on(now).order_by().values_list("state", "integration").distinct()
    order = list(Stage)
    busy = set(_new_revocations(now).values_list("integration", flat=True).distinct())
    queues = [
        WorkQueue(Stage(state), integration)
        for state, integration in rows
        if state != Stage.CLEAN or integration not in busy
    ]
    return sorted(queues, key=lambda queue: (order.index(queue.stage), queue.integration_id or 0))


def _new_revocations(now: datetime) -> QuerySet[Grant]:
    """Return revocations not attempted yet; cleanup on the same target, which is slow, then waits."""
    return Grant.objects.filter(
        state=GrantState.REVOKING, attempts=0, next_attempt_at__lte=now
    ).order_by()


def work(
    queue: WorkQueue, worker_id: str, *, should_continue: Callable[[], bool] = lambda: True
) -> int:
    """Work through a queue, and return the number of grants handled.

    ``should_continue`` is checked before each claim: a stopping worker leaves the rest to others.
    """
    handled = 0
    while should_continue() and (
        queue.stage is not Stage.CLEAN
        or not _new_revocations(timezone.now()).filter(integration=queue.integration_id).exists()
    ):
        lease, grants = claim(
            worker_id,
            integration_id=queue.integration_id,
            state=GrantState(queue.stage.value),
            limit=queue.stage.batch,
            duration=queue.stage.lease,
            now=timezone.now(),
        )
        if not grants:
            return handled
        queue.stage.handler(grants, lease)
        handled += len(grants)
    return handled


def is_urgent(now: datetime) -> bool:
    """Whether an unclaimed revocation or an approved request is waiting for a worker."""
    revocations = Grant.objects.to_work_on(now).filter(state=GrantState.REVOKING, attempts=0)
    return revocations.exists() or pending_activations().exists()


def has_work() -> bool:
    """Whether a grant or an extension is between two steps, or a request waits for its activation."""
    between_steps = Grant.objects.filter(state__in=[stage.value for stage in Stage])
    extensions = Extension.objects.filter(state=Extension.State.REQUESTED)
    return between_steps.exists() or pending_activations().exists() or extensions.exists()


def next_due_at(now: datetime) -> datetime | None:
    """Return when, after ``now``, access or a containment lease expires or an attempt is due."""
    active = AccessRequest.objects.filter(status=Status.ACTIVE, ends_at__gt=now)
    attempts = Grant.objects.unleased().filter(
        state__in=[stage.value for stage in Stage], next_attempt_at__gt=now
    )
    leased = Grant.objects.filter(state=GrantState.REVOKING, lease_until__gt=now)
    times = (
        active.aggregate(at=Min("ends_at"))["at"],
        attempts.aggregate(at=Min("next_attempt_at"))["at"],
        leased.aggregate(at=Min("lease_until"))["at"],
    )
    return min(filter(None, times), default=None)
