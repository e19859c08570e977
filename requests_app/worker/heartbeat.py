"""Heartbeats of workers, from which the portal knows whether any of them runs."""

from datetime import datetime, timedelta

from audit.integrity.signing_keys import signing_key
from requests_app.models import WorkerHeartbeat

INTERVAL = timedelta(seconds=10)
KEPT = timedelta(days=1)


class Heartbeat:
    """One worker's heartbeat, written every `INTERVAL` at most."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._at: datetime | None = None

    def beat(self, now: datetime) -> None:
        if self._at is None or not timedelta(0) <= now - self._at < INTERVAL:
            WorkerHeartbeat.objects.filter(seen_at__lt=now - KEPT).delete()
            values = {"seen_at": now, "can_sign": signing_key() is not None}
            WorkerHeartbeat.objects.update_or_create(name=self._name, defaults=values)
            self._at = now

    def stop(self) -> None:
        WorkerHeartbeat.objects.filter(name=self._name).delete()
