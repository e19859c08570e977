"""Deliveries: the outbox of the audit log."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from audit.querysets import DeliveryQuerySet


class Delivery(models.Model):
    """A message about an event to a person or a system, sent at least once (audit/outbox/deliveries.py).

    The body is final and holds no secret. A one-time link is rendered while the email is sent:
    ``deferred_part`` names what to render and ``deferred_subject_id`` for whom
    (audit/outbox/deferred_parts.py).
    """

    class Channel(models.TextChoices):
        EMAIL = "email", "Email"
        WEBHOOK = "webhook", "Webhook"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        WITHDRAWN = "withdrawn", "Withdrawn"

    event_id = models.BigIntegerField()
    channel = models.CharField(max_length=16, choices=Channel.choices, default=Channel.EMAIL)
    kind = models.CharField(max_length=32, blank=True)
    recipient = models.CharField(max_length=254)  # an email address, or the id of a webhook
    recipient_label = models.CharField(max_length=80, blank=True)
    subject = models.CharField(max_length=200)
    body = models.TextField()
    deferred_part = models.CharField(max_length=32, blank=True)
    deferred_subject_id = models.BigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    created_at = models.DateTimeField(default=timezone.now)
    waiting_since = models.DateTimeField(default=timezone.now)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    useful_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=200, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="delivery_waiting",
                condition=models.Q(state="waiting"),
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["event_id", "channel", "recipient"], name="one_delivery_per_recipient"
            )
        ]

    def __str__(self) -> str:
        return f"{self.subject} to {self.recipient_name}"

    @property
    def recipient_name(self) -> str:
        return self.recipient_label or self.recipient

    @property
    def short_subject(self) -> str:
        """The subject without the name of the portal, which every email starts with."""
        return self.subject.removeprefix(f"{settings.PORTAL_NAME}: ")

    @property
    def before_key(self) -> int:
        """The key that makes its event the first row of a page of the log."""
        return self.event_id + 1
