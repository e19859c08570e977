"""Audit events: rows that are written once and never changed."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from apono_portal.core.formatting.datetimes import person
from apono_portal.core.web.user_agent import name_browser
from audit.events import WARNINGS, event_choices
from audit.querysets import EventQuerySet


class Event(models.Model):
    """One audit event. Labels are snapshots.

    Actor, target and request are stored as id and label instead of foreign keys: a row never changes,
    even when the objects it refers to are deleted (audit/integrity/triggers.py).
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
        return person(self.actor_label)

    @property
    def actor_email(self) -> str:
        return self.actor_label.partition(" <")[2].rstrip(">")

    @property
    def subject(self) -> str:
        """The request and the target in a few words."""
        target = person(self.target_label)
        if not self.request_label:
            return target
        if self.target_label in {"", self.request_label}:
            return self.request_label
        return f"{self.request_label} · {target}"

    @property
    def browser_name(self) -> str:
        return name_browser(self.user_agent)

    @property
    def is_break_glass(self) -> bool:
        return bool(self.metadata.get("break_glass"))

    @property
    def is_by_agent(self) -> bool:
        """Whether an AI agent acted, or requested what the event is about."""
        token = self.metadata.get("token") or {}
        return bool(self.metadata.get("by_agent") or token.get("agent"))

    @property
    def is_warning(self) -> bool:
        return self.event in WARNINGS
