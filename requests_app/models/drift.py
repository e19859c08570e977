"""Scans of targets, and the drift they find."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accessflows.models import Integration
from requests_app.models.grants import Grant
from requests_app.querysets import DriftQuerySet


class TargetScan(models.Model):
    """When an integration is next scanned for drift, and which worker is scanning it.

    ``seconds`` is how long the last scan took that the target answered.
    """

    integration = models.OneToOneField(Integration, on_delete=models.CASCADE, related_name="scan")
    next_scan_at = models.DateTimeField(default=timezone.now)
    scanned_at = models.DateTimeField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    lease_by = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Scan of {self.integration}"


class Drift(models.Model):
    """A difference between a login on a target and the database, until it is resolved."""

    class Kind(models.TextChoices):
        UNKNOWN = "unknown", "Unknown login"
        RETURNED = "returned", "Login exists again after removal"
        DROPPED = "dropped", "Login dropped outside the portal"
        RENAMED = "renamed", "Login renamed"
        UNMARKED = "unmarked", "Ownership marker changed"
        DEADLINE = "deadline", "Expiry postponed on the target"
        RIGHTS = "rights", "Different permissions than granted"
        ATTRIBUTES = "attributes", "Elevated role attributes"
        LOGIN_ENABLED = "login_enabled", "Login enabled outside the portal"
        LOGIN_DISABLED = "login_disabled", "Login disabled outside the portal"

    integration = models.ForeignKey(
        Integration, null=True, on_delete=models.SET_NULL, related_name="drifts"
    )
    integration_name = models.CharField(max_length=80)
    grant = models.ForeignKey(Grant, null=True, on_delete=models.CASCADE, related_name="drifts")
    login = models.CharField(max_length=63)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    sentence = models.CharField(max_length=500)
    detected_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)

    objects = DriftQuerySet.as_manager()

    class Meta:
        ordering = ["-detected_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "login", "kind"],
                name="drift_open_once",
                condition=Q(resolved_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.login} on {self.integration_name}: {self.get_kind_display()}"
