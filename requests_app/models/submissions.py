"""Submissions: what one sending of the request form created."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class Submission(models.Model):
    """One sending of the request form; sending the same again creates nothing more.

    ``key`` comes from the page, ``digest`` is that of what was filled in: one page sent again with other
    content is another submission.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="submissions"
    )
    key = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key", "digest"], name="submission_once")
        ]

    def __str__(self) -> str:
        return f"Submission {self.pk}"
