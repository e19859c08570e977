"""The audit log: rows that are written once and never changed."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from audit.browsers import name_browser
from audit.events import TROUBLE, event_choices
from audit.querysets import DeliveryQuerySet, EventQuerySet


class Event(models.Model):
    """One thing that happened. Labels are snapshots, so a row reads the same for ever.

    Actor, target and request are kept by number and label instead of foreign keys: a row must never
    be touched again, also when what it speaks of is deleted (audit/immutability.py).
    """

    at = models.DateTimeField(default=timezone.now, db_index=True)
    event = models.CharField(max_length=64, choices=event_choices)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_label = models.CharField(max_length=320)
    target_type = models.CharField(max_length=64, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_label = models.CharField(max_length=320, blank=True)
    request_id = models.BigIntegerField(null=True, blank=True)
    request_label = models.CharField(max_length=32, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=256, blank=True)
    metadata = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["event", "-id"], name="event_by_name"),
            models.Index(fields=["actor_id", "-id"], name="event_by_actor"),
            models.Index(fields=["request_id", "-id"], name="event_by_request"),
            models.Index(fields=["target_type", "target_id", "-id"], name="event_by_target"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.event} by {self.actor_label}"

    @property
    def actor_name(self) -> str:
        """The name in a label like ``Name <address>``."""
        return self.actor_label.partition(" <")[0]

    @property
    def actor_email(self) -> str:
        return self.actor_label.partition(" <")[2].rstrip(">")

    @property
    def target_name(self) -> str:
        """The target without its e-mail address, if it is a person."""
        return self.target_label.partition(" <")[0]

    @property
    def browser_name(self) -> str:
        return name_browser(self.user_agent)

    @property
    def is_trouble(self) -> bool:
        return self.event in TROUBLE


class Delivery(models.Model):
    """A message that an event sends to the outside world, at least once (audit/deliveries.py).

    It is written in the transaction of the event and carried out by a worker. The text is final and
    holds neither a secret nor a link that does something by being opened.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        GIVEN_UP = "given_up", "Given up"

    event_id = models.BigIntegerField()
    recipient = models.EmailField(max_length=254)
    subject = models.CharField(max_length=200)
    body = models.TextField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    created_at = models.DateTimeField(default=timezone.now)
    next_try_at = models.DateTimeField(default=timezone.now)
    tries = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=200, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["next_try_at"],
                name="delivery_waiting",
                condition=models.Q(state="waiting"),
            )
        ]

    def __str__(self) -> str:
        return f"{self.subject} to {self.recipient}"
