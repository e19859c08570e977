"""Access requests and the targets they name."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accessflows.models import AccessFlow, FlowTarget, Integration
from apono_portal.core.crypto.authenticity import AuthenticatedRow
from mfa.models import Method, Strength, Verification
from mfa.verification.strength import Requirement
from requests_app.models.submissions import Submission
from requests_app.querysets import AccessRequestQuerySet


class Status(models.TextChoices):
    """Status of a request; requests_app.lifecycle has the transitions."""

    PENDING_MFA = "pending_mfa", "Pending MFA"
    PENDING_APPROVAL = "pending_approval", "Pending Approval"
    GRANTING = "granting", "Granting"
    ACTIVE = "active", "Active"
    REVOKING = "revoking", "Revoking"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"
    REJECTED = "rejected", "Rejected"
    LAPSED = "lapsed", "Lapsed"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


PENDING = (Status.PENDING_MFA, Status.PENDING_APPROVAL)
UNFINISHED = (*PENDING, Status.GRANTING, Status.ACTIVE)
LIVE = (Status.GRANTING, Status.ACTIVE, Status.REVOKING)


class AccessRequest(AuthenticatedRow):
    """One user's request through one access flow.

    Names and terms are snapshots, so the request stays readable after its user, flow and integrations
    are deleted. ``duration`` starts at activation; ``ends_at`` is empty until then.
    While it is pending or active its MAC is valid; each transition signs it again.
    """

    MAC_FIELDS = (
        "id",
        "status",
        "requester_id",
        "flow_id",
        "flow_fingerprint",
        "require_mfa",
        "break_glass",
        "mfa_strength",
        "verify_every_request",
        "verification_id",
        "duration",
        "extension_duration",
        "max_extensions",
        "extensions_used",
        "pending_until",
        "ends_at",
        "token_id",
        "by_agent",
        "agents",
        "target_keys",
    )

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
    submission = models.ForeignKey(
        Submission, null=True, blank=True, on_delete=models.SET_NULL, related_name="requests"
    )
    flow_name = models.CharField(max_length=80)
    flow_version = models.PositiveIntegerField()
    flow_fingerprint = models.CharField(max_length=64)
    require_mfa = models.BooleanField()
    break_glass = models.BooleanField(default=False)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    mfa_strength = models.CharField(max_length=24, choices=Strength.choices, default=Strength.ANY)
    verify_every_request = models.BooleanField(default=False)
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
    revoked_by_label = models.CharField(max_length=320, blank=True)
    final_status = models.CharField(max_length=24, choices=Status.choices, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    message = models.CharField(max_length=500, blank=True)
    # The API token it was submitted with, if any, and whether that is an AI agent's.
    token_id = models.BigIntegerField(null=True, blank=True)
    token_name = models.CharField(max_length=64, blank=True)
    by_agent = models.BooleanField(default=False)
    agents = models.CharField(
        max_length=8, choices=AccessFlow.Agents.choices, default=AccessFlow.Agents.NONE
    )

    # The MFA evidence: the verification and a snapshot of it.
    verification = models.ForeignKey(
        Verification,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="access_requests",
    )
    verified_at = models.DateTimeField(null=True, blank=True)
    verified_method = models.CharField(max_length=8, choices=Method.choices, blank=True)
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
                fields=["starts_at"],
                name="request_to_review",
                condition=Q(break_glass=True, reviewed_at__isnull=True, starts_at__isnull=False),
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
            # The database, too, refuses to grant a protected request without evidence.
            models.CheckConstraint(
                condition=~Q(
                    require_mfa=True, status__in=["pending_approval", "granting", "active"]
                )
                | Q(verified_at__isnull=False),
                name="request_protected_needs_evidence",
            ),
            models.CheckConstraint(
                condition=Q(break_glass=False) | Q(require_mfa=True),
                name="request_break_glass_needs_mfa",
            ),
            models.CheckConstraint(
                condition=Q(by_agent=False) | (~Q(agents="none") & Q(token_id__isnull=False)),
                name="request_by_agent_is_allowed",
            ),
            models.CheckConstraint(
                condition=~Q(
                    mfa_strength__in=[Strength.PHISHING_RESISTANT, Strength.DEVICE_BOUND],
                    status__in=["pending_approval", "granting", "active"],
                )
                | Q(verified_method=Method.PASSKEY),
                name="request_strong_needs_passkey",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["pending_mfa", "pending_approval", "granting"])
                | Q(pending_until__isnull=False),
                name="request_pending_has_deadline",
            ),
            models.CheckConstraint(
                condition=~Q(status="active") | Q(ends_at__isnull=False),
                name="request_active_has_end",
            ),
            models.CheckConstraint(
                condition=Q(starts_at=None)
                | Q(ends_at__isnull=False, ends_at__gt=models.F("starts_at")),
                name="request_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        return f"AR-{self.pk}"

    def mfa_requirement(self, action: str = "") -> Requirement:
        """Return what a verification must be to permit this request, or an ``action`` on it."""
        purpose = f"{self.reference} {action}".strip() if self.verify_every_request else ""
        return Requirement(Strength(self.mfa_strength), purpose)

    @property
    def target_keys(self) -> list[tuple[int | None, str, str]]:
        targets = self.targets.values_list("integration_id", "resource", "permission")
        return sorted(targets, key=str)

    @property
    def is_pending(self) -> bool:
        return self.status in PENDING

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def whole_duration(self) -> timedelta:
        """The requested duration plus the extensions granted."""
        return self.duration + self.extensions_used * self.extension_duration

    @property
    def extensions_left(self) -> int:
        return self.max_extensions - self.extensions_used

    @property
    def window_closes_at(self) -> datetime | None:
        return self.verified_at + settings.MFA_WINDOW if self.verified_at else None


class RequestedTarget(models.Model):
    """One target of a request, by its names at that time.

    Unlike a grant, it does not mean that anything exists on the target, and does not keep its
    integration from being deleted.
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
                name="requested_target_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.integration_name} / {self.resource} · {self.permission}"

    @classmethod
    def of(cls, request: AccessRequest, target: FlowTarget) -> "RequestedTarget":
        """Return an unsaved row for a flow's target."""
        integration = target.resource.integration
        return cls(
            request=request,
            integration=integration,
            integration_name=integration.name,
            resource=target.resource.name,
            permission=target.permission.name,
        )
