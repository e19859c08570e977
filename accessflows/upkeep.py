"""Keeping what is known of integrations up to date: each is checked about once a day by one worker."""

from datetime import datetime, timedelta

import structlog

from accessflows.exceptions import Refused
from accessflows.models import CheckRun, Integration
from accessflows.services.checks import check_integration, close_stopped_checks, run_check
from audit.origin import SYSTEM

log = structlog.get_logger(__name__)

# How long a worker has for a check before another may begin it anew.
TURN = timedelta(minutes=10)


def check_due(now: datetime) -> int:
    """Check the integrations in use whose turn has come. Returns 0: no grant waits for this."""
    due = Integration.objects.active().filter(next_check_at__lte=now).order_by("next_check_at")
    for integration in due:
        if not _take_turn(integration, now):
            continue
        try:
            survey = check_integration(actor=None, integration=integration, origin=SYSTEM)
        except Refused:  # changed meanwhile, which makes it due anew
            continue
        log.info("integration_checked", integration=integration.pk, health=survey.health)
    return 0


def run_asked_checks(now: datetime) -> int:
    """Do the checks that admins asked for, one after the other. Returns 0: no grant waits for this."""
    close_stopped_checks(now=now)
    waiting = CheckRun.objects.filter(state=CheckRun.State.WAITING).order_by("pk")
    for run in waiting.select_related("integration"):
        run_check(run=run)
    return 0


def _take_turn(integration: Integration, now: datetime) -> bool:
    """Move the turn away from where it was seen; of several workers one succeeds."""
    seen = Integration.objects.filter(pk=integration.pk, next_check_at=integration.next_check_at)
    return bool(seen.update(next_check_at=now + TURN))
