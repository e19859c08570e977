"""Named filters over the audit log and its deliveries."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import connections, models
from django.db.models import Q

from audit.search import MatchesWords, build_tsquery

if TYPE_CHECKING:
    from audit.models import Delivery, Event  # noqa: F401


class EventQuerySet(models.QuerySet["Event"]):
    def about_request(self, request_id: int) -> "EventQuerySet":
        return self.filter(request_id=request_id)

    def about_target(self, target: models.Model) -> "EventQuerySet":
        return self.filter(target_type=target._meta.label_lower, target_id=str(target.pk))

    def between(self, since: datetime | None, until: datetime | None) -> "EventQuerySet":
        """Events from ``since`` on and before ``until``; None leaves that side open."""
        events = self.filter(at__gte=since) if since else self.all()
        return events.filter(at__lt=until) if until else events

    def by_actor(self, text: str) -> "EventQuerySet":
        """Events whose actor's name or email has words that start with those of ``text``."""
        events = self.all()
        for word in text.split():
            events = events.filter(actor_label__has_word_prefix=word)
        return events

    def matching(self, text: str) -> "EventQuerySet":
        """Events whose actor, target, request or address has words that start with those of ``text``."""
        events = self.all()
        for word in text.split():
            events = events.filter(
                Q(actor_label__has_word_prefix=word)
                | Q(target_label__has_word_prefix=word)
                | Q(request_label__has_word_prefix=word)
                | Q(address__startswith=word)
            )
        return events

    def matching_words(self, text: str) -> "EventQuerySet":
        """Events that have all words of ``text`` according to the index; all events where there is none.

        To be narrowed with `by_actor` or `matching`.
        """
        tsquery = build_tsquery(text)
        if tsquery and connections[self.db].vendor == "postgresql":
            return self.filter(MatchesWords(tsquery))
        return self.all()


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> "DeliveryQuerySet":
        return self.filter(state="waiting")

    def sent_to(self, text: str) -> "DeliveryQuerySet":
        """Deliveries whose recipient's email or name contains every word of ``text``."""
        deliveries = self.all()
        for word in text.split():
            deliveries = deliveries.filter(
                Q(recipient__icontains=word) | Q(recipient_label__icontains=word)
            )
        return deliveries

    def due(self, now: datetime) -> "DeliveryQuerySet":
        return self.waiting().filter(next_attempt_at__lte=now).order_by("next_attempt_at", "id")
