"""Grants: one target of one request each."""

import uuid
from datetime import datetime

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.db.models.deletion import Collector
from django.utils import timezone

from accessflows.connectors.protocol import GrantIdentity, GrantSpec
from accessflows.models import Integration
from apono_portal.core.crypto.authenticity import AuthenticatedRow
from requests_app.models.requests import AccessRequest
from requests_app.querysets import GrantQuerySet


class GrantState(models.TextChoices):
    """State of a grant on its target."""

    ACTIVATING = "activating", "Activating"
    ACTIVE = "active", "Active"
    REVOKING = "revoking", "Revoking"
    CONTAINED = "contained", "Contained"
    REMOVED = "removed", "Removed"


UNCONTAINED = (GrantState.ACTIVATING, GrantState.ACTIVE, GrantState.REVOKING)


def protect_live_grants(
    collector: Collector,
    field: "models.Field[Integration, Integration]",
    grants: "GrantQuerySet",
    using: str,
) -> None:
    """Refuse the deletion (``on_delete``) while any of these grants is not removed from its target.

    Disabling the integration revokes all access through it, after which it can be deleted.
    """
    live = grants.exclude(state=GrantState.REMOVED)
    if live.exists():
        raise models.ProtectedError("Access through it is not removed yet.", set(live))
    models.SET_NULL(collector, field, grants, using)


class Grant(AuthenticatedRow):
    """One target of one request, from provisioning to proof of removal.

    The row is written, with its deadline, before anything is done on the target. ``extending_to`` is
    the end requested by an open extension, ``enforced_until`` the end the target itself enforces.
    ``revealed_at`` is written before the target is called, ``password_set_at`` once it has confirmed.
    ``permission_state`` are the keys of the permission's roles and of what they had given to others before
    this and other grants were activated, None if unknown; ``permission_changes`` is what was added until
    the end.
    The worker ``lease_by`` holds the row until ``lease_until``, by the database's clock.
    """

    MAC_FIELDS = ("id", "request_id", "integration_id", "resource", "permission", "deadline")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="grants")
    integration = models.ForeignKey(
        Integration, null=True, on_delete=protect_live_grants, related_name="grants"
    )
    integration_name = models.CharField(max_length=80)
    resource = models.CharField(max_length=63)
    permission = models.CharField(max_length=63)
    state = models.CharField(max_length=16, choices=GrantState.choices)
    deadline = models.DateTimeField()
    extending_to = models.DateTimeField(null=True, blank=True)
    enforced_until = models.DateTimeField(null=True, blank=True)
    login = models.CharField(max_length=63, blank=True)
    login_mark = models.CharField(max_length=64, blank=True)
    system_identifier = models.CharField(max_length=32, blank=True)
    activated_at = models.DateTimeField(null=True, blank=True)
    revealed_at = models.DateTimeField(null=True, blank=True)
    password_set_at = models.DateTimeField(null=True, blank=True)
    contained_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    owned_objects = models.JSONField(default=list, blank=True, encoder=DjangoJSONEncoder)
    permission_state = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    permission_changes = models.JSONField(default=list, blank=True, encoder=DjangoJSONEncoder)
    proof = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    lease_by = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        ordering = ["request_id", "integration_name", "resource", "permission"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="grant_to_work_on",
                condition=~Q(state__in=["active", "removed"]),
            ),
            models.Index(fields=["deadline"], name="grant_due", condition=Q(state="active")),
            models.Index(
                fields=["deadline"], name="grant_not_removed", condition=~Q(state="removed")
            ),
            models.Index(
                fields=["integration", "deadline"],
                name="grant_not_removed_from",
                condition=~Q(state="removed"),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "integration", "resource", "permission"],
                name="grant_once_per_target",
            ),
            models.CheckConstraint(
                condition=Q(activated_at=None) | Q(deadline__gt=models.F("activated_at")),
                name="grant_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.integration_name} / {self.resource} · {self.permission}"

    def spec(
        self,
        integration: Integration,
        *,
        allow_delegation: bool = False,
        by_agent: bool = False,
    ) -> GrantSpec:
        """Return what a connector needs to provision or look up this grant."""
        return GrantSpec(
            grant_id=self.pk,
            portal_id=settings.PORTAL_ID,
            resource=self.resource,
            permission=self.permission,
            deadline=self.deadline,
            connection_limit=integration.connection_limit,
            server_id=self.system_identifier or integration.system_identifier,
            allow_delegation=allow_delegation,
            by_agent=by_agent,
            reference=f"AR-{self.request_id}",
        )

    @property
    def identity(self) -> GrantIdentity | None:
        """The login on the target; None while it is not known."""
        if not self.login_mark:
            return None
        return GrantIdentity(self.login, self.login_mark, self.system_identifier)

    def is_overdue(self, now: datetime) -> bool:
        """Its end has come and it is not contained yet."""
        return (
            self.contained_at is None and self.state != GrantState.REMOVED and self.deadline < now
        )
