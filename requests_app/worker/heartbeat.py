"""Heartbeats of workers, from which the portal knows whether any of them runs."""

from datetime import datetime, timedelta

from audit.integrity.signing_keys import signing_key
from requests_app.models import WorkerHeartbeat
from requests_app.models.workers import MINUTES_SHOWN, minute_of

INTERVAL = timedelta(seconds=10)
KEPT = timedelta(days=1)


class Heartbeat:
    """One worker's heartbeat, written every `INTERVAL` at most."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._at: datetime | None = None
        self._started_at: datetime | None = None
        self._minutes = 0

    def beat(self, now: datetime) -> None:
        if self._at is None or not timedelta(0) <= now - self._at < INTERVAL:
            WorkerHeartbeat.objects.filter(seen_at__lt=now - KEPT).delete()
            self._add_minute(now)
            values = {
                "seen_at": now,
                "started_at": self._started_at,
                "minutes": self._minutes,
                "can_sign": signing_key() is not None,
            }
            WorkerHeartbeat.objects.update_or_create(name=self._name, defaults=values)
            self._at = now

    def _add_minute(self, now: datetime) -> None:
        passed = minute_of(now) - minute_of(self._at) if self._at else 0
        shifted = self._minutes << min(max(passed, 0), MINUTES_SHOWN)
        self._minutes = (shifted | 1) & (1 << MINUTES_SHOWN) - 1
        self._started_at = self._started_at or now

    def stop(self) -> None:
        WorkerHeartbeat.objects.filter(name=self._name).delete()
