"""The progress of an export."""

from django.db import models
from django.utils import timezone


class ExportProgress(models.Model):
    """How many rows an export has written, for the page that started it.

    The page chooses the token. ``expected`` is None where counting the rows would take too long.
    """

    token = models.UUIDField(primary_key=True)
    actor_id = models.BigIntegerField()
    expected = models.BigIntegerField(null=True, blank=True)
    rows = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Rows exported: {self.rows}"
