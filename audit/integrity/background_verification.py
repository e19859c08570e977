"""The worker's side of "Verify now": the log is walked in slices, so that a worker can stop anytime.

What was found so far is in this process's memory. A worker that dies leaves a check whose ``beat_at``
stands still, and another begins anew: nothing but a whole walk proves anything.
"""

import secrets
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from audit.integrity.chain import latest_seal, latest_stub
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.verification import (
    MOST_TOLD,
    new_verifier,
    told_findings,
    whole_log,
    write_down,
)
from audit.models import LogVerification
from audit.verify_export import Verifier

SLICE_S = 2.0
LOST_AFTER = timedelta(minutes=2)
State = LogVerification.State


class LogVerifier:
    """A chore of a worker. Each worker has one of its own."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(8)
        self._check: LogVerification | None = None
        self._steps: Iterator[None] = iter(())
        self._verifier = Verifier({})

    def __call__(self, now: datetime) -> int:
        """Do a slice of the check under way, or begin one that waits. Returns 0: no grant waits."""
        if self._check is None:
            self._take_one(now)
        if self._check is not None:
            # What breaks off here was not verified: it is left until another begins anew.
            check, self._check = self._check, None
            if not self._go_on(check):
                self._check = check
        return 0

    def _take_one(self, now: datetime) -> None:
        lost = Q(state=State.RUNNING, beat_at__lt=now - LOST_AFTER)
        check = LogVerification.objects.filter(Q(state=State.WAITING) | lost).first()
        if check is None:
            return
        write_checkpoints(now)
        seen = LogVerification.objects.filter(pk=check.pk, state=check.state, held_by=check.held_by)
        if seen.update(
            state=State.RUNNING,
            held_by=self._name,
            beat_at=timezone.now(),
            checked=0,
            expected=_events_sealed(),
        ):
            self._check, self._verifier = check, new_verifier()
            self._steps = self._verifier.steps(whole_log())

    def _go_on(self, check: LogVerification) -> bool:
        """Do a slice, and say whether there is nothing more to do."""
        held = LogVerification.objects.filter(pk=check.pk, held_by=self._name, state=State.RUNNING)
        report, stop_at = self._verifier.report, time.monotonic() + SLICE_S
        for _ in self._steps:
            if time.monotonic() > stop_at:
                return not held.update(checked=report.sealed, beat_at=timezone.now())
        with transaction.atomic():
            done = held.update(
                state=State.DONE,
                slot=None,
                checked=report.sealed,
                findings=told_findings(report),
                more_findings=max(len(report.findings) - MOST_TOLD, 0) + report.more_findings,
                finished_at=timezone.now(),
            )
            if done:  # else another worker took it for lost
                person = get_user_model()._default_manager.filter(pk=check.asked_by_id).first()
                client_info = ClientInfo(check.address, check.user_agent)
                write_down(report=report, actor=person, client_info=client_info)
        return True


def _events_sealed() -> int:
    seal, stub = latest_seal(), latest_stub()
    return (seal.last_position if seal else 0) - (stub.through_position if stub else 0)


def latest_check() -> LogVerification | None:
    return LogVerification.objects.order_by("-pk").first()
