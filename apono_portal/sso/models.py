"""Identity providers, the users they vouch for, and the sessions that they began."""

import uuid

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from apono_portal.core.crypto import encryption
from apono_portal.core.web.absolute_urls import absolute_url

MAX_SUBJECT_LENGTH = 255


class IdentityProvider(models.Model):
    """An OpenID Connect provider. ``slug`` is part of its redirect address and never changes.

    ``version`` goes up with each change, so that processes notice it. ``accepted_acr`` lists the
    authentication classes one of which a sign-in must have; empty accepts any.
    """

    slug = models.SlugField(max_length=60, unique=True, editable=False)
    name = models.CharField(max_length=60, unique=True)
    colour = models.CharField(
        max_length=7, default="#3b4ba0", validators=[RegexValidator(r"\A#[0-9a-fA-F]{6}\Z")]
    )
    issuer = models.CharField(max_length=500, unique=True)
    client_id = models.CharField(max_length=255)
    secret_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    encrypted_secret = models.TextField(blank=True, editable=False)
    scopes = models.CharField(max_length=255, default="openid profile email")
    groups_claim = models.CharField(max_length=60, default="groups")
    accepted_acr = models.JSONField(default=list, blank=True)
    is_active = models.BooleanField("active", default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name

    @property
    def secret(self) -> str:
        if not self.encrypted_secret:
            return ""
        text = encryption.decrypt(
            self.encrypted_secret, purpose=encryption.CLIENT_SECRET, owner=self.secret_id
        )
        return text.decode()

    @property
    def redirect_address(self) -> str:
        return absolute_url("sso:callback", self.slug)

    @property
    def logout_address(self) -> str:
        """Return where the provider posts logout tokens."""
        return absolute_url("sso:back_channel_logout", self.slug)


class SignInDomain(models.Model):
    """An email domain whose users a provider vouches for. No other provider's emails match there."""

    provider = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE, related_name="domains")
    domain = models.CharField(max_length=253, unique=True)
    creates_users = models.BooleanField(default=False)
    is_enforced = models.BooleanField(default=False)

    class Meta:
        ordering = ["domain"]

    def __str__(self) -> str:
        return self.domain


class ClaimMapping(models.Model):
    """A value of the groups claim, and the group or role that it stands for."""

    provider = models.ForeignKey(
        IdentityProvider, on_delete=models.CASCADE, related_name="mappings"
    )
    value = models.CharField(max_length=255)
    group = models.ForeignKey(
        Group, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    role = models.CharField(max_length=16, blank=True)

    class Meta:
        ordering = ["value", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "value", "group"],
                name="mapping_to_group_once",
                condition=models.Q(role=""),
            ),
            models.UniqueConstraint(
                fields=["provider", "value", "role"],
                name="mapping_to_role_once",
                condition=models.Q(group=None),
            ),
            models.CheckConstraint(
                condition=models.Q(group=None, role__gt="") | models.Q(group__gt=0, role=""),
                name="mapping_to_group_or_role",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.value} → {self.group or self.role}"


class ExternalIdentity(models.Model):
    """A user as a provider knows them: matched by issuer and subject, never by email.

    ``mapped_role`` is the role that the provider's mappings gave last.
    """

    provider = models.ForeignKey(
        IdentityProvider, on_delete=models.CASCADE, related_name="identities"
    )
    issuer = models.CharField(max_length=500)
    subject = models.CharField(max_length=MAX_SUBJECT_LENGTH)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="external_identities"
    )
    mapped_role = models.CharField(max_length=16, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "external identities"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="identity_of_one_user")
        ]

    def __str__(self) -> str:
        return f"{self.subject} at {self.provider}"


class MappedMembership(models.Model):
    """A membership that a provider's mappings gave. Others were given in the portal."""

    provider = models.ForeignKey(
        IdentityProvider, on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mapped_memberships"
    )
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="mapped_memberships")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "user", "group"], name="mapped_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.group_id} by {self.provider_id}"


class ProviderSession(models.Model):
    """Which provider began a session, so that the provider can end it.

    ``session_hash`` is the key of the session's row (`apono_portal.users.sessions`), which takes this
    row along when it gets a new key. ``sid`` is the provider's name for its own session.
    """

    session_hash = models.CharField(max_length=40, unique=True)
    secret_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    provider = models.ForeignKey(
        IdentityProvider, on_delete=models.CASCADE, related_name="sessions"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(max_length=MAX_SUBJECT_LENGTH)
    sid = models.CharField(max_length=255, blank=True)
    encrypted_id_token = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["provider", "sid"], name="session_by_sid"),
            models.Index(fields=["provider", "subject"], name="session_by_subject"),
            models.Index(fields=["created_at"], name="provider_session_by_age"),
        ]

    def __str__(self) -> str:
        return f"Session of {self.user_id} by {self.provider_id}"

    @property
    def id_token(self) -> str:
        text = encryption.decrypt(
            self.encrypted_id_token, purpose=encryption.ID_TOKEN, owner=self.secret_id
        )
        return text.decode()


class UsedLogoutToken(models.Model):
    """A logout token that was accepted, until it expires: it is not accepted twice."""

    token_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="logout_token_by_expiry")]

    def __str__(self) -> str:
        return f"Logout token until {self.expires_at:%Y-%m-%d %H:%M:%S}"
