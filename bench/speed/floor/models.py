"""The one row a floor's form writes, and the audit row beside a bare verification."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class Note(models.Model):
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    text = models.CharField(max_length=200)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.text


class AuditRow(models.Model):
    at = models.DateTimeField(default=timezone.now, db_index=True)
    event = models.CharField(max_length=64)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    address = models.GenericIPAddressField(null=True)
    metadata = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.event
