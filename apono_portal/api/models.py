"""API tokens, what their users confirmed for them, and what makes calls countable and repeatable."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from apono_portal.api.scopes import Scope
from apono_portal.core.crypto.authenticity import AuthenticatedRow
from apono_portal.core.web.client import TokenInfo
from mfa.models import Verification
from requests_app.models import AccessRequest

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_LIFETIME = timedelta(days=90)
MAX_AGENT_LIFETIME = timedelta(days=30)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def of(self, user: "User") -> "ApiTokenQuerySet":
        return self.filter(user=user)

    def not_over(self, now: datetime) -> "ApiTokenQuerySet":
        """Tokens that are neither revoked nor expired."""
        return self.filter(revoked_at=None, expires_at__gt=now)


class ApiToken(AuthenticatedRow):
    """A bearer token of a user. Only a hash of it is stored.

    It counts while its user is active and in the epoch it was made in, so a reset of MFA, another
    password or a deactivation ends it. The MAC keeps anybody who can only write rows from making one.
    With the token of an AI agent, the agent acts for its user, on what it requested itself.
    """

    MAC_FIELDS = (
        "user_id",
        "token_hash",
        "scope_text",
        "epoch",
        "expires_at",
        "revoked_at",
        "is_agent",
    )

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=64)
    is_agent = models.BooleanField("AI agent", default=False)
    prefix = models.CharField(max_length=12)
    token_hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list, encoder=DjangoJSONEncoder)
    epoch = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    created_by_label = models.CharField(max_length=320)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by_label = models.CharField(max_length=320, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "API token"
        indexes = [models.Index(fields=["user", "-id"], name="token_by_user")]

    def __str__(self) -> str:
        return self.name

    @property
    def scope_text(self) -> str:
        return " ".join(sorted(self.scopes))

    @property
    def scope_labels(self) -> list[str]:
        return [Scope(scope).label for scope in sorted(self.scopes) if scope in Scope]

    @property
    def info(self) -> TokenInfo:
        return TokenInfo(self.pk, self.name, self.is_agent)

    def may_see(self, request: AccessRequest) -> bool:
        """Whether a request of the user's concerns the token. An AI agent sees what it requested itself."""
        return not self.is_agent or request.token_id == self.pk

    @property
    def void_reason(self) -> str:
        """Return why the token no longer works, or "". Its user must be read with the MFA state."""
        if self.revoked_at is not None:
            return "Revoked"
        if self.expires_at <= timezone.now():
            return "Expired"
        if not self.user.is_active:
            return "The user was deactivated"
        if self.epoch != self.user.mfa_epoch:
            return "Void since the password or MFA was changed"
        return "" if self.is_authentic else "Not authentic"


class TokenConfirmation(AuthenticatedRow):
    """A user's permission for one token to act on one request, on the strength of a verification.

    It lasts as long as the window of that verification.
    """

    MAC_FIELDS = ("token_id", "request_id", "verification_id")

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="confirmations")
    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="+")
    verification = models.ForeignKey(Verification, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.token_id} for AR-{self.request_id}"


class PlanConfirmation(AuthenticatedRow):
    """A plan of access flows that a token wants to apply, and the verification that its admin confirmed
    it with.

    It lasts as long as the window of that verification, and until the plan is applied.
    """

    MAC_FIELDS = ("token_id", "plan_hash", "verification_id")
    LIFETIME = timedelta(hours=24)

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="plans")
    plan = models.TextField()
    plan_hash = models.CharField(max_length=64)
    verification = models.ForeignKey(
        Verification, null=True, on_delete=models.CASCADE, related_name="+"
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["token", "plan_hash"], name="plan_once_per_token")
        ]

    def __str__(self) -> str:
        return f"{self.token_id} for plan {self.plan_hash[:12]}"


class CallCount(models.Model):
    """How often a token was used in one minute."""

    token = models.OneToOneField(ApiToken, on_delete=models.CASCADE, primary_key=True)
    minute = models.DateTimeField()
    calls = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.calls} calls of {self.token_id}"


class StoredResponse(models.Model):
    """The response to a call with an ``Idempotency-Key``, so that repeating the call repeats it."""

    LIFETIME = timedelta(hours=24)

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
    body = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token", "key"], name="response_once_per_key")
        ]

    def __str__(self) -> str:
        return f"Response {self.pk}"
