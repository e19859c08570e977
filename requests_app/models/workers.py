"""Workers that run."""

from django.db import models

from requests_app.querysets import WorkerHeartbeatQuerySet


class WorkerHeartbeat(models.Model):
    """When a worker's loop last did a round, and whether it can sign audit checkpoints."""

    name = models.CharField(max_length=64, primary_key=True)
    seen_at = models.DateTimeField()
    can_sign = models.BooleanField(default=False)

    objects = WorkerHeartbeatQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
