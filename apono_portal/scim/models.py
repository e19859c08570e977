"""Directories, their tokens, and the users and groups that they sent."""

import uuid
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils import timezone


class Directory(models.Model):
    """A company directory that provisions users and groups, such as Okta or Entra ID."""

    name = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "directories"

    def __str__(self) -> str:
        return self.name


class ScimToken(models.Model):
    """A token with which a directory signs in. Only its hash is stored."""

    directory = models.ForeignKey(Directory, on_delete=models.CASCADE, related_name="tokens")
    token_hash = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=4)  # its last characters
    created_at = models.DateTimeField(default=timezone.now)
    created_by_label = models.CharField(max_length=320)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"…{self.hint}"

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()

    @property
    def is_valid(self) -> bool:
        return self.revoked_at is None and not self.is_expired


class ScimResource(models.Model):
    """What a directory sent about a user or a group. ``document`` has what no column has."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    external_id = models.CharField(max_length=255, blank=True)
    document = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True


class ScimUser(ScimResource):
    """A user of a directory. Without an email there is no account in the portal."""

    directory = models.ForeignKey(Directory, on_delete=models.CASCADE, related_name="users")
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="scim_user",
    )
    user_name = models.CharField(max_length=255)  # as it is compared: RFC 7643 ignores case

    class Meta:
        verbose_name = "SCIM user"
        constraints = [
            models.UniqueConstraint(fields=["directory", "user_name"], name="scim_user_name")
        ]
        indexes = [models.Index(fields=["directory", "external_id"], name="scim_user_external")]

    def __str__(self) -> str:
        return self.user_name

    @property
    def is_active(self) -> bool:
        """Return whether the directory says so; a user that it says nothing about is active."""
        active: Any = self.document.get("active", True)
        return active is not False


class ScimGroup(ScimResource):
    """A group of a directory, with the members it has there."""

    directory = models.ForeignKey(Directory, on_delete=models.CASCADE, related_name="groups")
    group = models.OneToOneField(Group, on_delete=models.CASCADE, related_name="scim_group")
    members = models.ManyToManyField(ScimUser, related_name="groups")

    class Meta:
        verbose_name = "SCIM group"
        indexes = [models.Index(fields=["directory", "external_id"], name="scim_group_external")]

    def __str__(self) -> str:
        return self.group.name
