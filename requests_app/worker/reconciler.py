"""Brings targets to where the portal's rows say they should be, step by step, for ever.

Work is found in the rows themselves, in work_queues: one stage at one integration. Containment comes
before everything: nobody may use what has ended. Any number of workers share the work through the
database; no queue holds a grant's fate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db.models import Min, QuerySet
from django.utils import timezone

from requests_app.approvals.escalation import escalate_due
from requests_app.grants.activation import begin_activation
from requests_app.grants.ending import lapse_overdue, revoke_ineligible
from requests_app.grants.leases import claim
from requests_app.grants.reminders import remind_of_ends
from requests_app.models import AccessRequest, Grant, GrantState, Status
from requests_app.worker import steps


class Stage(StrEnum):
    """What is done to grants of a state, in order of urgency."""

    CONTAIN = GrantState.ENDING.value
    ACTIVATE = GrantState.ACTIVATING.value
    CLEAN = GrantState.CONTAINED.value

    @property
    def batch(self) -> int:
        """How many are taken over one connection: opening takes one, so that leases stay short."""
        return {Stage.CONTAIN: 250, Stage.ACTIVATE: 1, Stage.CLEAN: 20}[self]

    @property
    def lease(self) -> timedelta:
        """How long a dead worker's grants wait for another worker.

        Containment may be done twice at once, so it waits for nobody longer than half a sweep.
        """
        if self is Stage.CONTAIN:
            return timedelta(seconds=settings.WORKER_INTERVAL_S / 2)
        lasts: timedelta = settings.WORKER_LEASE
        return lasts

    @property
    def step(self) -> Callable[[list[Grant], str], None]:
        found: Callable[[list[Grant], str], None] = getattr(steps, self.name.lower())
        return found


@dataclass(frozen=True)
class WorkQueue:
    """One stage at one integration: what waits for one target never waits for another."""

    stage: Stage
    integration_id: int | None


def run_housekeeping(now: datetime) -> int:
    """See to what waits too long, has lost its ground, or ends soon."""
    done = lapse_overdue(now=now) + revoke_ineligible() + escalate_due(now=now)
    return done + remind_of_ends(now=now)


def pending_activations() -> QuerySet[AccessRequest]:
    """Requests that may go on and of which nothing has been begun."""
    return AccessRequest.objects.filter(status=Status.GRANTING, grants=None)


def start_activations(limit: int = 20) -> int:
    """Begin the activation of requests that may go on."""
    pks = list(pending_activations().order_by("pk").values_list("pk", flat=True)[:limit])
    for pk in pks:
        begin_activation(request_pk=pk)
    return len(pks)


def work_queues(now: datetime) -> list[WorkQueue]:
    """Return the work_queues with work whose turn has come, the most urgent stage first."""
    found = Grant.objects.to_work_on(now).order_by().values_list("state", "integration").distinct()
    order = list(Stage)
    waiting = [WorkQueue(Stage(state), integration) for state, integration in found]
    if must_hurry(now):
        waiting = [queue for queue in waiting if queue.stage is not Stage.CLEAN]
    return sorted(waiting, key=lambda queue: (order.index(queue.stage), queue.integration_id or 0))


def must_hurry(now: datetime) -> bool:
    """Is there an end that nobody has come to yet? Then cleaning, which is dear, can wait.

    One that was tried and failed holds nothing up.
    """
    fresh = Grant.objects.filter(state=GrantState.ENDING, attempts=0, next_attempt_at__lte=now)
    return fresh.exists()


def work(queue: WorkQueue, worker_id: str, *, goes_on: Callable[[], bool] = lambda: True) -> int:
    """Do what waits in a queue until nothing more does. Returns the number of grants stepped on.

    ``goes_on`` is asked between two claims: a worker that is told to stop leaves the rest to others.
    """
    done = 0
    while goes_on() and (queue.stage is not Stage.CLEAN or not must_hurry(timezone.now())):
        lease, grants = claim(
            worker_id,
            integration_id=queue.integration_id,
            state=GrantState(queue.stage.value),
            limit=queue.stage.batch,
            lasts=queue.stage.lease,
            now=timezone.now(),
        )
        if not grants:
            return done
        queue.stage.step(grants, lease)
        done += len(grants)
    return done


def is_urgent(now: datetime) -> bool:
    """Does somebody wait for a worker: an end nobody holds, or a request that may go on?"""
    ends = Grant.objects.to_work_on(now).filter(state=GrantState.ENDING, attempts=0)
    return ends.exists() or pending_activations().exists()


def next_turn() -> datetime | None:
    """Return when the next access ends, the next grant may be tried again, or a lease runs out
    under which one should have been contained by now.
    """
    ends = AccessRequest.objects.filter(status=Status.ACTIVE).aggregate(at=Min("ends_at"))["at"]
    attempts = (
        Grant.objects.unleased()
        .filter(state__in=[stage.value for stage in Stage])
        .aggregate(at=Min("next_attempt_at"))["at"]
    )
    held = Grant.objects.filter(state=GrantState.ENDING).aggregate(at=Min("lease_until"))["at"]
    return min(filter(None, [ends, attempts, held]), default=None)
