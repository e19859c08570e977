"""The worker's side of canaries: runs that wait are done, runs of a killed worker are closed."""

from datetime import datetime

from accessflows.models import CanaryRun
from accessflows.services.canaries import close_stopped_canaries, run_canary


def run_due_canaries(now: datetime) -> int:
    """Do what waits, one after the other. Returns 0: no grant waits for this."""
    close_stopped_canaries(now=now)
    waiting = CanaryRun.objects.filter(state=CanaryRun.State.WAITING).order_by("pk")
    for run in waiting.select_related("integration"):
        run_canary(run=run)
    return 0
