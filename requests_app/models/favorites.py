"""Access flows that users marked with a star."""

from django.conf import settings
from django.db import models

from accessflows.models import AccessFlow


class FavoriteFlow(models.Model):
    """An access flow that a user wants at hand on New Request."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="favorite_flows"
    )
    flow = models.ForeignKey(AccessFlow, on_delete=models.CASCADE, related_name="favorites")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "flow"], name="favorite_once_per_flow")
        ]

    def __str__(self) -> str:
        return f"{self.flow} for {self.user}"
