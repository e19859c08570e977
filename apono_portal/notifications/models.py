"""Webhooks that are told of events, the mails people do not want, and how far the log was read."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from apono_portal.core.crypto import encryption
from apono_portal.notifications.kinds import FOR_WEBHOOKS, Kind


class Webhook(models.Model):
    """Where notices are posted. Address and secret are sealed: a chat's address lets anybody post.

    ``kinds`` are values of `Kind`. ``host`` is what pages show of the address.
    """

    class Form(models.TextChoices):
        FULL = "full", "Everything, signed"
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
        return self._unsealed(self.encrypted_url, encryption.WEBHOOK_ADDRESS)

    @property
    def secret(self) -> str:
        return self._unsealed(self.encrypted_secret, encryption.WEBHOOK_SECRET)

    @property
    def kind_labels(self) -> list[str]:
        if {kind.value for kind in FOR_WEBHOOKS} <= set(self.kinds):
            return ["All"]
        return [kind.label for kind in Kind if kind.value in self.kinds]

    def _unsealed(self, text: str, purpose: str) -> str:
        return encryption.decrypt(text, purpose=purpose, owner=self.secret_id).decode()


class EmailOptOut(models.Model):
    """A kind of notice a person does not want by mail. Without a row it is sent."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="email_opt_outs"
    )
    kind = models.CharField(max_length=32, choices=Kind.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "kind"], name="unwanted_once_per_person")
        ]

    def __str__(self) -> str:
        return f"No mail to {self.user_id} when: {self.get_kind_display()}"


class ReadPosition(models.Model):
    """One row: up to which position of the audit log's chain notices were made."""

    ONLY = 1

    position = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"Read through position {self.position}"
