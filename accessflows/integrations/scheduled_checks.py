"""What the worker does about integrations: checks that are due, and jobs that admins requested."""

import time
from datetime import datetime, timedelta

import structlog

from accessflows.exceptions import Refused
from accessflows.integrations.canaries import close_abandoned_canaries, run_canary
from accessflows.integrations.checks import check_integration, close_abandoned_checks, run_check
from accessflows.models import CanaryRun, CheckRun, Integration
from apono_portal.core.web.client import SYSTEM

log = structlog.get_logger(__name__)

CLAIM = timedelta(minutes=10)  # a worker has this long for a check before another may start it
BUDGET_S = 5.0  # of one call: what is still due waits for the next, so that a worker can stop


def run_due_checks(now: datetime) -> None:
    """Check the enabled integrations that are due, at least one of them."""
    due = Integration.objects.active().filter(next_check_at__lte=now).order_by("next_check_at")
    stop_at = time.monotonic() + BUDGET_S
    for integration in due:
        if _claim(integration, now):
            _check(integration)
        if time.monotonic() > stop_at:
            break


def run_requested_checks(now: datetime) -> None:
    """Run the checks that admins requested, one after the other."""
    close_abandoned_checks(now=now)
    waiting = CheckRun.objects.filter(state=CheckRun.State.WAITING).order_by("pk")
    for run in waiting.select_related("integration"):
        run_check(run=run)


def run_requested_canaries(now: datetime) -> None:
    """Run the canaries that admins requested, one after the other."""
    close_abandoned_canaries(now=now)
    waiting = CanaryRun.objects.filter(state=CanaryRun.State.WAITING).order_by("pk")
    for run in waiting.select_related("integration"):
        run_canary(run=run)


def _check(integration: Integration) -> None:
    try:
        inspection = check_integration(actor=None, integration=integration, client_info=SYSTEM)
    except Refused:  # changed in the meantime, which makes it due again
        return
    log.info("integration_checked", integration=integration.pk, health=inspection.health)


def _claim(integration: Integration, now: datetime) -> bool:
    """Move the due time, guarded by its old value: of several workers one succeeds."""
    unclaimed = Integration.objects.filter(
        pk=integration.pk, next_check_at=integration.next_check_at
    )
    return bool(unclaimed.update(next_check_at=now + CLAIM))
