"""Named filters over the audit log."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from audit.models import Delivery, Event  # noqa: F401


class EventQuerySet(models.QuerySet["Event"]):
    def about_request(self, request_id: int) -> "EventQuerySet":
        return self.filter(request_id=request_id)

    def about_target(self, target: models.Model) -> "EventQuerySet":
        return self.filter(target_type=target._meta.label_lower, target_id=str(target.pk))


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> "DeliveryQuerySet":
        return self.filter(state="waiting")

    def due(self, now: datetime) -> "DeliveryQuerySet":
        return self.waiting().filter(next_try_at__lte=now).order_by("next_try_at", "id")
