"""How far each place outside the machine has got what is sent to it."""

from django.db import models
from django.utils import timezone


class Cursor(models.Model):
    """A destination by its name, and the position up to which it has accepted everything."""

    name = models.CharField(max_length=300, primary_key=True)
    position = models.BigIntegerField()
    sent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    last_error = models.CharField(max_length=200, blank=True)

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CheckpointDestination(Cursor):
    """Where signed checkpoints are sent; the position is the size of the last that arrived."""


class StreamDestination(Cursor):
    """A SIEM; the position is that of the last event that it accepted."""
