"""Webhooks, email opt-outs, and the position up to which the audit log was read."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from apono_portal.core.crypto import encryption
from apono_portal.notifications.kinds import WEBHOOK_KINDS, Kind


class Webhook(models.Model):
    """An address that notifications are posted to.

    Address and secret are encrypted: whoever knows a chat's address can post there. ``kinds`` are
    values of `Kind`. ``host`` is the part of the address that pages show.
    """

    class Form(models.TextChoices):
        FULL = "full", "All details, signed"
        CHAT = "chat", "One sentence, for a chat"

    name = models.CharField(max_length=80, unique=True)
    form = models.CharField(max_length=8, choices=Form.choices, default=Form.FULL)
    kinds = models.JSONField(default=list)
    host = models.CharField(max_length=253)
    secret_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    encrypted_url = models.TextField(editable=False)
    encrypted_secret = models.TextField(editable=False)
    is_active = models.BooleanField("active", default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def url(self) -> str:
        return self._decrypt(self.encrypted_url, encryption.WEBHOOK_ADDRESS)

    @property
    def secret(self) -> str:
        return self._decrypt(self.encrypted_secret, encryption.WEBHOOK_SECRET)

    @property
    def kind_labels(self) -> list[str]:
        if {kind.value for kind in WEBHOOK_KINDS} <= set(self.kinds):
            return ["All"]
        return [kind.label for kind in Kind if kind.value in self.kinds]

    def _decrypt(self, text: str, purpose: str) -> str:
        return encryption.decrypt(text, purpose=purpose, owner=self.secret_id).decode()


class EmailOptOut(models.Model):
    """A kind of notification that a user does not want by email."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="email_opt_outs"
    )
    kind = models.CharField(max_length=32, choices=Kind.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "kind"], name="email_opt_out_once_per_kind")
        ]

    def __str__(self) -> str:
        return f"No email to user {self.user_id}: {self.get_kind_display()}"


class ReadPosition(models.Model):
    """The position in the audit log's chain up to which notifications were created. One row."""

    ONLY = 1

    position = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"Read through position {self.position}"
