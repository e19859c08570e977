"""The worker's part of "Verify now": the log is verified in slices, so that a worker can stop.

The result so far is in the worker's memory. If the worker dies, ``heartbeat_at`` stops and another
worker starts again: only a whole verification proves anything.
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
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.records import latest_checkpoint, latest_stub, log_records
from audit.integrity.verification import (
    MAX_FINDINGS_RECORDED,
    check_rows,
    first_findings,
    new_verifier,
    record_result,
)
from audit.models import LogVerification
from audit.verify_export.verifier import Verifier

SLICE_SECONDS = 2.0
LOST_AFTER = timedelta(minutes=2)
State = LogVerification.State


class LogVerifier:
    """A periodic task of a worker. Each worker has its own instance."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(8)
        self._verification: LogVerification | None = None
        self._steps: Iterator[None] = iter(())
        self._verifier = Verifier({})

    def __call__(self, now: datetime) -> int:
        """Run a slice of the open verification, if there is one. Returns 0: no grant waits for it."""
        if self._verification is None:
            self._claim(now)
        if self._verification is not None:
            # If the slice raises, this worker lets go: what breaks off has verified nothing.
            verification, self._verification = self._verification, None
            if not self._run_slice(verification):
                self._verification = verification
        return 0

    def _claim(self, now: datetime) -> None:
        """Claim a verification that is waiting, or whose worker is lost."""
        lost = Q(state=State.RUNNING, heartbeat_at__lt=now - LOST_AFTER)
        verification = LogVerification.objects.filter(Q(state=State.WAITING) | lost).first()
        if verification is None:
            return
        write_checkpoints(now)
        unclaimed = LogVerification.objects.filter(
            pk=verification.pk, state=verification.state, worker=verification.worker
        )
        if unclaimed.update(
            state=State.RUNNING,
            worker=self._name,
            heartbeat_at=timezone.now(),
            checked=0,
            expected=_count_chained_events(),
        ):
            self._verification, self._verifier = verification, new_verifier()
            self._steps = self._verifier.steps(log_records())

    def _run_slice(self, verification: LogVerification) -> bool:
        """Verify for a while; return whether this worker is done with it."""
        claimed = LogVerification.objects.filter(
            pk=verification.pk, worker=self._name, state=State.RUNNING
        )
        stop_at = time.monotonic() + SLICE_SECONDS
        for _ in self._steps:
            if time.monotonic() > stop_at:
                checked = self._verifier.report.chained
                return not claimed.update(checked=checked, heartbeat_at=timezone.now())
        self._finish(verification)
        return True

    def _finish(self, verification: LogVerification) -> None:
        report = self._verifier.report
        check_rows(report)
        claimed = LogVerification.objects.filter(
            pk=verification.pk, worker=self._name, state=State.RUNNING
        )
        unlisted = max(len(report.findings) - MAX_FINDINGS_RECORDED, 0) + report.more_findings
        with transaction.atomic():
            if claimed.update(
                state=State.DONE,
                slot=None,
                checked=report.chained,
                findings=first_findings(report),
                more_findings=unlisted,
                finished_at=timezone.now(),
            ):  # else another worker has claimed it
                users = get_user_model()._default_manager
                record_result(
                    report=report,
                    actor=users.filter(pk=verification.requested_by_id).first(),
                    client_info=ClientInfo(verification.address, verification.user_agent),
                )


def _count_chained_events() -> int:
    last, stub = latest_checkpoint(), latest_stub()
    return (last.last_position if last else 0) - (stub.through_position if stub else 0)
