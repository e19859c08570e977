"""Keeping what is known of integrations up to date: each is checked about once a day by one worker."""

import time
from datetime import datetime, timedelta

import structlog

from accessflows.exceptions import Refused
from accessflows.integrations.canaries import close_stopped_canaries, run_canary
from accessflows.integrations.checks import check_integration, close_stopped_checks, run_check
from accessflows.models import CanaryRun, CheckRun, Integration
from apono_portal.core.web.client import SYSTEM

log = structlog.get_logger(__name__)

# How long a worker has for a check before another may begin it anew.
TURN = timedelta(minutes=10)

BUDGET_S = 5.0  # of one call: what is due then waits for the next, so that a worker can stop


def run_due_checks(now: datetime) -> int:
    """Check the integrations in use whose turn has come, the first of them for certain.

    Returns 0: no grant waits for this.
    """
    due = Integration.objects.active().filter(next_check_at__lte=now).order_by("next_check_at")
    give_up_at = time.monotonic() + BUDGET_S
    for integration in due:
        if _take_turn(integration, now):
            _check(integration)
        if time.monotonic() > give_up_at:
            break
    return 0


def run_requested_checks(now: datetime) -> int:
    """Do the checks that admins asked for, one after the other. Returns 0: no grant waits for this."""
    close_stopped_checks(now=now)
    waiting = CheckRun.objects.filter(state=CheckRun.State.WAITING).order_by("pk")
    for run in waiting.select_related("integration"):
        run_check(run=run)
    return 0


def _check(integration: Integration) -> None:
    try:
        inspect_target = check_integration(actor=None, integration=integration, client_info=SYSTEM)
    except Refused:  # changed meanwhile, which makes it due anew
        return
    log.info("integration_checked", integration=integration.pk, health=inspect_target.health)


def _take_turn(integration: Integration, now: datetime) -> bool:
    """Move the turn away from where it was seen; of several workers one succeeds."""
    seen = Integration.objects.filter(pk=integration.pk, next_check_at=integration.next_check_at)
    return bool(seen.update(next_check_at=now + TURN))


def run_requested_canaries(now: datetime) -> int:
    """Do what waits, one after the other. Returns 0: no grant waits for this."""
    close_stopped_canaries(now=now)
    waiting = CanaryRun.objects.filter(state=CanaryRun.State.WAITING).order_by("pk")
    for run in waiting.select_related("integration"):
        run_canary(run=run)
    return 0
