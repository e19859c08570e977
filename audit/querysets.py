"""Named filters over the audit log."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import connections, models
from django.db.models import Q

from audit.search import TellsWords, asked_of_index

if TYPE_CHECKING:
    from audit.models import Delivery, Event  # noqa: F401


class EventQuerySet(models.QuerySet["Event"]):
    def about_request(self, request_id: int) -> "EventQuerySet":
        return self.filter(request_id=request_id)

    def about_target(self, target: models.Model) -> "EventQuerySet":
        return self.filter(target_type=target._meta.label_lower, target_id=str(target.pk))

    def between(self, since: datetime | None, until: datetime | None) -> "EventQuerySet":
        """Events from ``since`` on and before ``until``; None leaves that side open."""
        found = self.all()
        if since:
            found = found.filter(at__gte=since)
        return found.filter(at__lt=until) if until else found

    def by_actor(self, text: str) -> "EventQuerySet":
        """Events of whose actor's name or e-mail address words begin with those of ``text``."""
        found = self.all()
        for word in text.split():
            found = found.filter(actor_label__begins_at=word)
        return found

    def matching(self, text: str) -> "EventQuerySet":
        """Events in whose actor, target, request or address each word of ``text`` begins one."""
        found = self.all()
        for word in text.split():
            found = found.filter(
                Q(actor_label__begins_at=word)
                | Q(target_label__begins_at=word)
                | Q(request_label__begins_at=word)
                | Q(address__startswith=word)
            )
        return found

    def telling(self, text: str) -> "EventQuerySet":
        """Events in which an index finds all words of ``text`` somewhere; all, where there is none."""
        asked = asked_of_index(text)
        if asked and connections[self.db].vendor == "postgresql":
            return self.filter(TellsWords(asked))
        return self.all()


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> "DeliveryQuerySet":
        return self.filter(state="waiting")

    def sent_to(self, text: str) -> "DeliveryQuerySet":
        """Deliveries whose recipient's address or name holds every word of ``text``."""
        found = self.all()
        for word in text.split():
            found = found.filter(Q(recipient__icontains=word) | Q(recipient_label__icontains=word))
        return found

    def due(self, now: datetime) -> "DeliveryQuerySet":
        return self.waiting().filter(next_attempt_at__lte=now).order_by("next_attempt_at", "id")
