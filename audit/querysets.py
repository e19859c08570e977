"""Named filters over the audit log."""

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    pass


class EventQuerySet(models.QuerySet["Event"]):
    def about_request(self, request_id: int) -> "EventQuerySet":
        return self.filter(request_id=request_id)

    def about_target(self, target: models.Model) -> "EventQuerySet":
        return self.filter(target_type=target._meta.label_lower, target_id=str(target.pk))
