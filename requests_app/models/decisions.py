"""Decisions of approvers."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from apono_portal.core.crypto.authenticity import AuthenticatedRow
from mfa.models import Verification
from requests_app.models.requests import AccessRequest


class Decision(AuthenticatedRow):
    """An approver's decision on a request, bound to the fingerprint of the flow."""

    MAC_FIELDS = ("request_id", "approver_id", "verdict", "fingerprint", "verification_id", "at")

    class Verdict(models.TextChoices):
        APPROVE = "approve", "Approved"
        REJECT = "reject", "Rejected"

    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="decisions")
    approver = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="decisions"
    )
    approver_label = models.CharField(max_length=320)
    verdict = models.CharField(max_length=8, choices=Verdict.choices)
    reason = models.CharField(max_length=500, blank=True)
    fingerprint = models.CharField(max_length=64)
    verification = models.ForeignKey(
        Verification, null=True, blank=True, on_delete=models.SET_NULL, related_name="decisions"
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "approver"], name="decision_once_per_approver"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} by {self.approver_label}"
