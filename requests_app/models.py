"""Access requests, the decisions on them, and the grants they lead to."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.db.models.deletion import Collector
from django.utils import timezone

from accessflows.connectors.protocol import GrantIdentity, GrantSpec
from accessflows.models import AccessFlow, FlowTarget, Integration
from mfa.models import Verification
from requests_app.querysets import (
    AccessRequestQuerySet,
    DayFiguresQuerySet,
    DriftQuerySet,
    GrantQuerySet,
)


class Status(models.TextChoices):
    """Where a request stands (requests_app.lifecycle says what may follow what)."""

    PENDING_MFA = "pending_mfa", "Pending MFA"
    PENDING_APPROVAL = "pending_approval", "Pending Approval"
    GRANTING = "granting", "Granting"
    ACTIVE = "active", "Active"
    ENDING = "ending", "Ending"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"
    REJECTED = "rejected", "Rejected"
    LAPSED = "lapsed", "Lapsed"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


STATUS_LABELS = {str(value): str(label) for value, label in Status.choices}
PENDING = (Status.PENDING_MFA, Status.PENDING_APPROVAL)
LIVE = (Status.GRANTING, Status.ACTIVE, Status.ENDING)


class AccessRequest(models.Model):
    """One person draft through one flow, for a duration, with a justification.

    Names and terms are snapshots: the request reads the same after person, flow and integration are
    gone. ``duration`` runs from activation, so ``ends_at`` is empty until then.
    """

    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="access_requests",
    )
    requester_label = models.CharField(max_length=320)
    flow = models.ForeignKey(
        AccessFlow, null=True, on_delete=models.SET_NULL, related_name="access_requests"
    )
    flow_name = models.CharField(max_length=80)
    flow_version = models.PositiveIntegerField()
    flow_fingerprint = models.CharField(max_length=64)
    require_mfa = models.BooleanField()
    approval = models.CharField(max_length=16, choices=AccessFlow.Approval.choices)
    approvals_required = models.PositiveSmallIntegerField(default=1)
    escalation_tier = models.PositiveSmallIntegerField(default=0)
    escalates_at = models.DateTimeField(null=True, blank=True)
    max_duration = models.DurationField()
    duration = models.DurationField()
    max_extensions = models.PositiveSmallIntegerField(default=0)
    extension_duration = models.DurationField(default=timedelta(hours=1))
    extensions_used = models.PositiveSmallIntegerField(default=0)
    justification = models.TextField(max_length=2000, blank=True)
    ticket = models.CharField(max_length=320, blank=True)
    status = models.CharField(max_length=24, choices=Status.choices)
    status_changed_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    pending_until = models.DateTimeField(null=True, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    remind_at = models.DateTimeField(null=True, blank=True)
    end_asked_by_label = models.CharField(max_length=320, blank=True)
    ends_as = models.CharField(max_length=24, choices=Status.choices, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    message = models.CharField(max_length=500, blank=True)

    # The evidence: what the permission to go on stands on. Kept as snapshot beside the ledger row.
    verification = models.ForeignKey(
        Verification,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="access_requests",
    )
    verified_at = models.DateTimeField(null=True, blank=True)
    verified_with = models.CharField(max_length=64, blank=True)
    verified_scope = models.CharField(max_length=32, blank=True)
    verified_from = models.GenericIPAddressField(null=True, blank=True)

    objects = AccessRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["requester", "-id"], name="request_by_requester"),
            models.Index(fields=["status", "pending_until"], name="request_pending_until"),
            models.Index(fields=["status", "ends_at"], name="request_ends_at"),
            models.Index(
                fields=["escalates_at"],
                name="request_to_escalate",
                condition=Q(status="pending_approval", escalates_at__isnull=False),
            ),
            models.Index(fields=["flow", "status"], name="request_by_flow"),
            models.Index(
                fields=["flow", "pending_until"],
                name="request_to_decide",
                condition=Q(status="pending_approval"),
            ),
            models.Index(
                fields=["remind_at"],
                name="request_to_remind",
                condition=Q(status="active", remind_at__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(duration__gt=timedelta(0)), name="request_duration_positive"
            ),
            models.CheckConstraint(
                condition=Q(extensions_used__lte=models.F("max_extensions")),
                name="request_extended_within_flow",
            ),
            models.CheckConstraint(
                condition=Q(duration__lte=models.F("max_duration")),
                name="request_duration_within_flow",
            ),
            # The first promise, held by the database: nothing protected goes on without evidence.
            models.CheckConstraint(
                condition=~Q(
                    require_mfa=True, status__in=["pending_approval", "granting", "active"]
                )
                | Q(verified_at__isnull=False),
                name="request_protected_needs_evidence",
            ),
            models.CheckConstraint(
                condition=~Q(status="active") | Q(ends_at__isnull=False),
                name="request_active_has_end",
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        return f"AR-{self.pk}"

    def get_status_display(self) -> str:  # type: ignore[no-redef]
        """As Django's, which would make its table of words anew for each row."""
        return STATUS_LABELS.get(self.status, self.status)

    @property
    def is_pending(self) -> bool:
        return self.status in PENDING

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def whole_duration(self) -> timedelta:
        """For how long access was asked for, with the extensions it got."""
        return self.duration + self.extensions_used * self.extension_duration

    @property
    def extensions_left(self) -> int:
        return self.max_extensions - self.extensions_used

    @property
    def window_closes_at(self) -> datetime | None:
        return self.verified_at + settings.MFA_WINDOW if self.verified_at else None


class RequestedTarget(models.Model):
    """One target a request asks for, by the names it had then.

    It is not a grant: a grant row means that something may exist on the target, and keeps its
    integration from being deleted. What was only asked for must do neither.
    """

    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="targets")
    integration = models.ForeignKey(
        Integration, null=True, on_delete=models.SET_NULL, related_name="requested_targets"
    )
    integration_name = models.CharField(max_length=80)
    resource = models.CharField(max_length=63)
    permission = models.CharField(max_length=63)

    class Meta:
        ordering = ["integration_name", "resource", "permission"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "integration_name", "resource", "permission"],
                name="asked_once_per_target",
            )
        ]

    def __str__(self) -> str:
        return f"{self.integration_name} / {self.resource} · {self.permission}"

    @classmethod
    def of(cls, request: AccessRequest, target: FlowTarget) -> "RequestedTarget":
        """Return the unsaved row for a flow's target."""
        integration = target.resource.integration
        return cls(
            request=request,
            integration=integration,
            integration_name=integration.name,
            resource=target.resource.name,
            permission=target.permission.name,
        )


class Decision(models.Model):
    """An approver's word on a request, bound to the fingerprint of what was shown."""

    class Verdict(models.TextChoices):
        APPROVE = "approve", "Approved"
        REJECT = "reject", "Rejected"

    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="decisions")
    approver = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="decisions"
    )
    approver_label = models.CharField(max_length=320)
    verdict = models.CharField(max_length=8, choices=Verdict.choices)
    reason = models.CharField(max_length=500, blank=True)
    fingerprint = models.CharField(max_length=64)
    verification = models.ForeignKey(
        Verification, null=True, blank=True, on_delete=models.SET_NULL, related_name="decisions"
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "approver"], name="decision_once_per_approver"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} by {self.approver_label}"


class Extension(models.Model):
    """A later end of open access: asked for with its evidence, then confirmed by the targets or not.

    Until it is confirmed the request keeps its end.
    """

    class State(models.TextChoices):
        ASKED = "asked", "Asked"
        DONE = "done", "Extended"
        FAILED = "failed", "Not extended"

    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="extensions")
    number = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.ASKED)
    asked_at = models.DateTimeField(default=timezone.now)
    asked_from = models.GenericIPAddressField(null=True, blank=True)
    from_end = models.DateTimeField()
    to_end = models.DateTimeField()
    next_attempt_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    settled_at = models.DateTimeField(null=True, blank=True)
    message = models.CharField(max_length=500, blank=True)
    require_mfa = models.BooleanField()
    verification = models.ForeignKey(
        Verification, null=True, blank=True, on_delete=models.SET_NULL, related_name="extensions"
    )
    verified_at = models.DateTimeField(null=True, blank=True)
    verified_with = models.CharField(max_length=64, blank=True)
    verified_scope = models.CharField(max_length=32, blank=True)
    verified_from = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        ordering = ["request_id", "asked_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "number"],
                name="extension_once_per_number",
                condition=~Q(state="failed"),
            ),
            models.UniqueConstraint(
                fields=["request"], name="one_open_extension", condition=Q(state="asked")
            ),
            models.CheckConstraint(
                condition=Q(to_end__gt=models.F("from_end")), name="extension_to_later"
            ),
            models.CheckConstraint(
                condition=~Q(require_mfa=True) | Q(verified_at__isnull=False),
                name="extension_protected_needs_evidence",
            ),
        ]

    def __str__(self) -> str:
        return f"Extension {self.number} of {self.request}"


class GrantState(models.TextChoices):
    """Where a grant stands on its target system."""

    ACTIVATING = "activating", "Activating"
    ACTIVE = "active", "Active"
    ENDING = "ending", "Ending"
    CONTAINED = "contained", "Contained"
    ENDED = "ended", "Ended"


def keep_while_live(
    collector: Collector, field: "models.Field[Any, Any]", grants: Any, using: str
) -> None:
    """For ``on_delete``: refuse as long as something may be left on the target, else let go.

    Disable the integration, which ends all access through it, then delete it. What has ended is
    history, and reads on by the names it keeps.
    """
    live = grants.exclude(state=GrantState.ENDED)
    if live.exists():
        raise models.ProtectedError("Access through it has not ended yet.", set(live))
    models.SET_NULL(collector, field, grants, using)


class Grant(models.Model):
    """One target of one request, from the intent to activate it to the proof of its end.

    The row is written, with its deadline, before anything is done on the target. ``extending_to`` is
    the later end a target is being asked for, ``enforced_until`` what it said it enforces. A worker holds it
    through ``lease_by`` until ``lease_until``, by the database's clock.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="grants")
    integration = models.ForeignKey(
        Integration, null=True, on_delete=keep_while_live, related_name="grants"
    )
    integration_name = models.CharField(max_length=80)
    resource = models.CharField(max_length=63)
    permission = models.CharField(max_length=63)
    state = models.CharField(max_length=16, choices=GrantState.choices)
    deadline = models.DateTimeField()
    extending_to = models.DateTimeField(null=True, blank=True)
    enforced_until = models.DateTimeField(null=True, blank=True)
    login = models.CharField(max_length=63, blank=True)
    login_oid = models.BigIntegerField(null=True, blank=True)
    system_identifier = models.CharField(max_length=32, blank=True)
    activated_at = models.DateTimeField(null=True, blank=True)
    revealed_at = models.DateTimeField(null=True, blank=True)
    contained_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    owned_objects = models.JSONField(default=list, blank=True, encoder=DjangoJSONEncoder)
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
                condition=~Q(state__in=["active", "ended"]),
            ),
            models.Index(fields=["deadline"], name="grant_due", condition=Q(state="active")),
            models.Index(fields=["deadline"], name="grant_not_ended", condition=~Q(state="ended")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "integration", "resource", "permission"],
                name="grant_once_per_target",
            )
        ]

    def __str__(self) -> str:
        return f"{self.integration_name} / {self.resource} · {self.permission}"

    def spec(self, integration: Integration) -> GrantSpec:
        """What is to be made on the target."""
        return GrantSpec(
            grant_id=self.pk,
            portal_id=settings.PORTAL_ID,
            resource=self.resource,
            permission=self.permission,
            deadline=self.deadline,
            connection_limit=integration.connection_limit,
            system_identifier=self.system_identifier or integration.system_identifier,
        )

    @property
    def identity(self) -> GrantIdentity | None:
        """What was made on the target; None while that is not known."""
        if self.login_oid is None:
            return None
        return GrantIdentity(self.login, self.login_oid, self.system_identifier)

    def is_overdue(self, now: datetime) -> bool:
        """Its end has come and it is not contained yet."""
        return self.contained_at is None and self.state != GrantState.ENDED and self.deadline < now


class TargetScan(models.Model):
    """When a target is next compared with what the portal knows, and which worker does it now."""

    integration = models.OneToOneField(Integration, on_delete=models.CASCADE, related_name="watch")
    next_scan_at = models.DateTimeField(default=timezone.now)
    scanned_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    lease_by = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "target watches"

    def __str__(self) -> str:
        return f"Watch over {self.integration}"


class Drift(models.Model):
    """A login on a target that is not as the portal knows it, from when it was noticed until it was over."""

    class Kind(models.TextChoices):
        UNKNOWN = "unknown", "Not known to the portal"
        BACK = "back", "Back after its end"
        DROPPED = "dropped", "Dropped by hand"
        RENAMED = "renamed", "Renamed"
        UNMARKED = "unmarked", "Marker lost"
        DEADLINE = "deadline", "End pushed back"
        RIGHTS = "rights", "Other rights than granted"
        POWERS = "powers", "Powers given by hand"
        OPENED = "opened", "Opened without being shown"
        CLOSED = "closed", "Closed by hand"

    integration = models.ForeignKey(
        Integration, null=True, on_delete=models.SET_NULL, related_name="drifts"
    )
    integration_name = models.CharField(max_length=80)
    grant = models.ForeignKey(Grant, null=True, on_delete=models.CASCADE, related_name="drifts")
    login = models.CharField(max_length=63)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    sentence = models.CharField(max_length=500)
    noticed_at = models.DateTimeField(default=timezone.now)
    over_at = models.DateTimeField(null=True, blank=True)

    objects = DriftQuerySet.as_manager()

    class Meta:
        ordering = ["-noticed_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "login", "kind"],
                name="drift_noticed_once",
                condition=Q(over_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.login} on {self.integration_name}: {self.get_kind_display()}"


class DayFigures(models.Model):
    """What is counted of one day in one time zone (requests_app/insights/daily_rollup.py).

    ``figures`` is what `requests_app.insights.aggregation.figures_between` returns, ``coverage`` what
    `coverage_now` said when the day was counted last; a day counted afterwards has none.
    """

    day = models.DateField()
    zone = models.CharField(max_length=64)
    figures = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    coverage = models.JSONField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)
    is_final = models.BooleanField(default=False)
    next_at = models.DateTimeField()

    objects = DayFiguresQuerySet.as_manager()

    class Meta:
        ordering = ["day"]
        verbose_name_plural = "figures of days"
        constraints = [models.UniqueConstraint(fields=["zone", "day"], name="figures_once_a_day")]
        indexes = [
            models.Index(fields=["zone"], name="figures_still_counted", condition=Q(is_final=False))
        ]

    def __str__(self) -> str:
        return f"Figures of {self.day}"
