"""Workers that run."""

from datetime import datetime

from django.db import models
from django.utils import timezone

from requests_app.querysets import WORKER_SILENT_AFTER, WorkerHeartbeatQuerySet

MINUTES_SHOWN = 30


class WorkerHeartbeat(models.Model):
    """When a worker's loop last did a round, and whether it can sign audit checkpoints.

    ``minutes`` has a bit for each of the `MINUTES_SHOWN` up to ``seen_at``, the lowest for the last: whether
    the worker reported in it.
    """

    name = models.CharField(max_length=64, primary_key=True)
    seen_at = models.DateTimeField()
    started_at = models.DateTimeField(default=timezone.now)
    minutes = models.BigIntegerField(default=0)
    can_sign = models.BooleanField(default=False)

    objects = WorkerHeartbeatQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def host(self) -> str:
        """The machine, without the number of the process."""
        return self.name.partition(":")[0]

    def is_running(self, now: datetime) -> bool:
        return self.seen_at > now - WORKER_SILENT_AFTER

    def minutes_before(self, now: datetime) -> list[str]:
        """Return the last minutes, oldest first: "on", "off", or "none" before the worker's start."""
        last, started = minute_of(now), minute_of(self.started_at)
        bits = self.minutes << max(last - minute_of(self.seen_at), 0)
        return [
            "none" if last - age < started else "on" if bits >> age & 1 else "off"
            for age in reversed(range(MINUTES_SHOWN))
        ]


def minute_of(at: datetime) -> int:
    """Return the number of a minute since 1970."""
    return int(at.timestamp()) // 60
