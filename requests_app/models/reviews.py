"""Reviews of break-glass access."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from mfa.models import Verification
from requests_app.models.requests import AccessRequest
from requests_app.querysets import BreakGlassReviewQuerySet


class BreakGlassReview(models.Model):
    """What an admin wrote about break-glass access after it ended.

    "Not justified" pauses the requester's break-glass access until ``lifted_at``.
    """

    class Verdict(models.TextChoices):
        JUSTIFIED = "justified", "Justified"
        NOT_JUSTIFIED = "not_justified", "Not justified"

    request = models.OneToOneField(AccessRequest, on_delete=models.CASCADE, related_name="review")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="reviews"
    )
    reviewer_label = models.CharField(max_length=320)
    verdict = models.CharField(max_length=16, choices=Verdict.choices)
    note = models.CharField(max_length=500)
    verification = models.ForeignKey(
        Verification, null=True, on_delete=models.SET_NULL, related_name="reviews"
    )
    at = models.DateTimeField(default=timezone.now)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by_label = models.CharField(max_length=320, blank=True)

    objects = BreakGlassReviewQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} by {self.reviewer_label}"

    @property
    def is_pausing(self) -> bool:
        return self.verdict == self.Verdict.NOT_JUSTIFIED and self.lifted_at is None
