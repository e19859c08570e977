"""Where the log is streamed to."""

from django.db import models
from django.utils import timezone


class StreamDestination(models.Model):
    """A SIEM, and the position in the chain up to which it has accepted events."""

    name = models.CharField(max_length=300, primary_key=True)
    position = models.BigIntegerField()
    sent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    last_error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
