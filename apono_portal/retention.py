"""Rows that are only history are removed after a while: a periodic task of a worker.

Audit events are not among them: `manage.py audit prune` removes those and leaves a stub.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import QuerySet

from accessflows.models import CanaryRun, CheckRun
from apono_portal.users.models import SignedInDevice
from audit.models import Delivery

INTERVAL = timedelta(hours=1)
BATCH_SIZE = 1000
MAX_BATCHES = 20  # of a kind and call, so that each stays short
log = structlog.get_logger(__name__)


class OldRowRemover:
    """Remove expired sessions, and deliveries and checks that are older than the settings say."""

    def __init__(self) -> None:
        self._at: datetime | None = None

    def __call__(self, now: datetime) -> int:
        """Do it once an hour. Returns 0: no grant waits for it."""
        if self._at is None or not timedelta(0) <= now - self._at < INTERVAL:
            self._at = now
            removed = remove_old_rows(now)
            if any(removed.values()):
                log.info("old_rows_removed", **removed)
        return 0


def remove_old_rows(now: datetime) -> dict[str, int]:
    """Remove what is old enough; return how many of each. Several workers may run it at once."""
    removed = {"sessions": _remove(Session.objects.filter(expire_date__lt=now), "expire_date")}
    oldest = now - timedelta(seconds=settings.SESSION_COOKIE_AGE)
    devices = SignedInDevice.objects.filter(signed_in_at__lt=oldest)
    removed["devices"] = _remove(devices, "signed_in_at")
    if days := settings.DELIVERY_RETENTION_DAYS:
        deliveries = Delivery.objects.exclude(state=Delivery.State.WAITING)
        old = deliveries.filter(created_at__lt=now - timedelta(days=days))
        removed["deliveries"] = _remove(old, "pk")
    if days := settings.CHECK_RETENTION_DAYS:
        limit = now - timedelta(days=days)
        removed["checks"] = _remove(CheckRun.objects.filter(finished_at__lt=limit), "pk")
        removed["canaries"] = _remove(CanaryRun.objects.filter(finished_at__lt=limit), "pk")
    return removed


def _remove(rows: "QuerySet[Any]", order: str) -> int:
    """Remove rows in short transactions, the oldest first."""
    removed = 0
    for _ in range(MAX_BATCHES):
        pks = list(rows.order_by(order).values_list("pk", flat=True)[:BATCH_SIZE])
        removed += rows.filter(pk__in=pks).delete()[0]
        if len(pks) < BATCH_SIZE:
            break
    return removed
