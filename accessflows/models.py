"""Integrations with their resources and permissions, and the access flows that give them out."""

import json
import uuid
from datetime import timedelta
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from accessflows.availability import Availability
from accessflows.connectors.kinds import ConnectorKind, Promises
from accessflows.connectors.protocol import Target, TargetSettings
from accessflows.connectors.registry import MAX_NAME_LENGTH, POSTGRESQL, find_kind
from accessflows.querysets import (
    AccessFlowQuerySet,
    IntegrationQuerySet,
    PermissionQuerySet,
    RequesterConditionQuerySet,
    ResourceQuerySet,
)
from accessflows.requesters import ATTRIBUTE_NAMES, OPERATOR_NAMES, OPERATORS
from accessflows.tickets import MAX_PATTERN_LENGTH
from apono_portal.core.crypto import encryption
from apono_portal.core.crypto.authenticity import AuthenticatedRow
from apono_portal.core.formatting.durations import MAX_DURATION, format_duration
from mfa.models import Strength

if TYPE_CHECKING:
    from accessflows.dual_control.actions import ProtectedAction

MAX_SOURCE_LENGTH = 200  # of the name of a file that manages flows
SUMMARY_LENGTH = 3  # names or resources shown in the list of flows


class Integration(models.Model):
    """A connected target system: connector kind, address, broker credential, health.

    ``settings`` are those its kind declares. A webhook's signing secret is encrypted like a broker password.
    """

    class Health(models.TextChoices):
        UNKNOWN = "unknown", "Not checked"
        HEALTHY = "healthy", "Healthy"
        LIMITED = "limited", "Needs attention"
        DOWN = "down", "Down"

    class SslMode(models.TextChoices):
        VERIFY_FULL = "verify-full", "Verify certificate and host name"
        VERIFY_CA = "verify-ca", "Verify certificate"
        REQUIRE = "require", "Encrypt without verifying"
        PREFER = "prefer", "Encrypt if the server offers it"
        DISABLE = "disable", "Don't encrypt"

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=MAX_NAME_LENGTH, default=POSTGRESQL)
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(
        default=5432, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    settings = models.JSONField(default=dict, blank=True)
    broker = models.CharField("broker account", max_length=63, blank=True)
    secret_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    encrypted_password = models.TextField(editable=False)
    sslmode = models.CharField(
        "TLS", max_length=16, choices=SslMode.choices, default=SslMode.VERIFY_FULL
    )
    ca_certificates = models.TextField("CA certificates", blank=True)
    connection_limit = models.PositiveSmallIntegerField(
        "connections per login", default=3, validators=[MinValueValidator(1), MaxValueValidator(50)]
    )
    terminate_sessions_on_reset = models.BooleanField(
        "terminate open sessions on reset", default=True
    )
    is_active = models.BooleanField("active", default=True)
    next_check_at = models.DateTimeField(default=timezone.now, editable=False)
    health = models.CharField(max_length=16, choices=Health.choices, default=Health.UNKNOWN)
    health_checked_at = models.DateTimeField(null=True, blank=True)
    health_report = models.JSONField(default=list, blank=True, encoder=DjangoJSONEncoder)
    server_version = models.CharField(max_length=40, blank=True)
    system_identifier = models.CharField(max_length=32, blank=True)
    discovered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = IntegrationQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """Return what identifies the server in the fingerprint of every flow that uses it."""
        return self.target_settings.address(self.kind, self.host, self.port)

    @property
    def connector_kind(self) -> ConnectorKind | None:
        """Return the declaration of its kind; None if its package is no longer installed."""
        return find_kind(self.kind)

    @property
    def kind_label(self) -> str:
        return self.connector_kind.label if self.connector_kind else self.kind

    @property
    def promises(self) -> Promises | None:
        return self.connector_kind.promises if self.connector_kind else None

    @property
    def target_settings(self) -> TargetSettings:
        settings = self.connector_kind.settings if self.connector_kind else TargetSettings
        return settings.of(self.settings)

    @property
    def broker_password(self) -> str:
        return encryption.decrypt(
            self.encrypted_password, purpose=encryption.BROKER_PASSWORD, owner=self.secret_id
        ).decode()

    def target(self) -> Target:
        """Return how the broker reaches this system, with the decrypted password."""
        return Target(
            host=self.host,
            port=self.port,
            user=self.broker,
            password=self.broker_password,
            settings=self.target_settings,
            sslmode=self.sslmode,
            ca_certificates=self.ca_certificates,
            portal_id=settings.PORTAL_ID,
        )


class DiscoveredItem(models.Model):
    """A resource or permission found on a target; kept when it goes missing, for the history."""

    name = models.CharField(max_length=63)
    description = models.CharField(max_length=200, blank=True)
    missing_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_present(self) -> bool:
        return self.missing_since is None


class Resource(DiscoveredItem):
    """Something in an integration that can be requested: a database."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="resources")

    objects = ResourceQuerySet.as_manager()

    class Meta(DiscoveredItem.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "name"], name="resource_once_per_integration"
            )
        ]


class Permission(DiscoveredItem):
    """The level of access on a resource: a capability role.

    ``rights`` is what discovery read: ``resources`` it reaches, ``refusal`` if it must never be
    granted, ``delegation`` how its grantees could give others access, and ``words``, by resource, the
    sentences on what it allows there.
    """

    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, related_name="permissions"
    )
    rights = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)

    objects = PermissionQuerySet.as_manager()

    class Meta(DiscoveredItem.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "name"], name="permission_once_per_integration"
            )
        ]

    @property
    def refusal(self) -> str:
        """Return why this role must never be granted, or an empty string."""
        return str(self.rights.get("refusal", ""))

    @property
    def delegation(self) -> str:
        """Return how grantees could give others access, or an empty string."""
        return str(self.rights.get("delegation", ""))

    def rights_on(self, resource: str) -> list[str]:
        """Return sentences on what it allows on a resource; empty until discovery has read them."""
        sentences: list[str] = self.rights.get("words", {}).get(resource, [])
        return sentences

    def reaches(self, resource: Resource) -> bool:
        """Tell whether the role can connect to a resource; assumed until discovery has read it."""
        resources = self.rights.get("resources")
        return resources is None or resource.name in resources


class AccessFlow(models.Model):
    """The policy: requesters, targets, maximum duration, approval, availability, Require MFA.

    ``version`` and ``fingerprint`` change with everything that matters to a request (see
    `accessflows.flows.fingerprint`); a request keeps those it was made under. A flow with
    ``managed_by_file`` is changed by applying that file only (`accessflows.flows.files`).
    """

    class Approval(models.TextChoices):
        AUTOMATIC = "automatic", "Automatic"
        ANY_OF = "any_of", "Any one approver"
        ALL_OF = "all_of", "One from each group"

    class Agents(models.TextChoices):
        """What the AI agents of its requesters may do through a flow."""

        NONE = "none", "Not allowed"
        REQUEST = "request", "Can request"
        REVEAL = "reveal", "Can request and reveal credentials"

    name = models.CharField("Access Flow Name", max_length=80, unique=True)
    require_mfa = models.BooleanField("Require MFA", default=False)
    mfa_strength = models.CharField(
        "accepted methods", max_length=24, choices=Strength.choices, default=Strength.ANY
    )
    verify_every_request = models.BooleanField("verify for every request", default=False)
    description = models.CharField(max_length=200, blank=True)
    max_duration = models.DurationField("max duration", default=timedelta(hours=8))
    available_days = models.JSONField(default=list, blank=True)
    available_from = models.TimeField(null=True, blank=True)
    available_until = models.TimeField(null=True, blank=True)
    available_zone = models.CharField(max_length=64, blank=True)
    max_extensions = models.PositiveSmallIntegerField("extensions", default=0)
    extension_duration = models.DurationField("extension duration", default=timedelta(hours=1))
    approval = models.CharField(max_length=16, choices=Approval.choices, default=Approval.AUTOMATIC)
    approvals_required = models.PositiveSmallIntegerField("approvals needed", default=1)
    approver_users = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="decidable_flows"
    )
    approver_groups = models.ManyToManyField(Group, blank=True, related_name="decidable_flows")
    require_justification = models.BooleanField(default=True)
    ticket_pattern = models.CharField("ticket pattern", max_length=MAX_PATTERN_LENGTH, blank=True)
    require_ticket = models.BooleanField("require a ticket", default=False)
    require_approver_reason = models.BooleanField("require a reason from approvers", default=False)
    allow_self_approval = models.BooleanField(
        "requesters may approve their own request", default=False
    )
    allow_delegation = models.BooleanField(
        "allow permissions that can give others access", default=False
    )
    break_glass = models.BooleanField("break-glass", default=False)
    agents = models.CharField(
        "AI agents", max_length=8, choices=Agents.choices, default=Agents.NONE
    )
    managed_by_file = models.CharField(
        "managed by file", max_length=MAX_SOURCE_LENGTH, blank=True, editable=False
    )
    managed_commit = models.CharField("commit", max_length=64, blank=True, editable=False)
    is_active = models.BooleanField("active", default=True)
    version = models.PositiveIntegerField(default=0, editable=False)
    fingerprint = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AccessFlowQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(max_duration__gt=timedelta(0)), name="flow_duration_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(require_mfa=True)
                | models.Q(mfa_strength=Strength.ANY, verify_every_request=False),
                name="flow_strength_needs_mfa",
            ),
            # Break-glass access skips approval, never verification and never the justification.
            models.CheckConstraint(
                condition=models.Q(break_glass=False)
                | models.Q(require_mfa=True, require_justification=True, approval="automatic"),
                name="flow_break_glass_needs_mfa",
            ),
            models.CheckConstraint(
                condition=models.Q(break_glass=False) | models.Q(agents="none"),
                name="flow_break_glass_not_for_agents",
            ),
            models.CheckConstraint(
                condition=models.Q(max_duration__lte=MAX_DURATION), name="flow_duration_has_limit"
            ),
            models.CheckConstraint(
                condition=models.Q(approvals_required__gte=1), name="flow_approvals_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(extension_duration__gt=timedelta(0)),
                name="flow_extension_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def availability(self) -> Availability | None:
        """Return when the flow can be requested; None means always."""
        return Availability.of(
            self.available_days, self.available_from, self.available_until, self.available_zone
        )

    @property
    def requester_texts(self) -> list[str]:
        """Who can request, in words: one text for each set of conditions."""
        conditions = groupby(self.requester_conditions.all(), key=attrgetter("set_number"))
        return [" and ".join(str(one) for one in of_set) for _, of_set in conditions]

    @property
    def requesters_summary(self) -> str:
        """Who can request, in words, for the list of flows."""
        sets = self.requester_texts
        more = len(sets) - SUMMARY_LENGTH
        return ", or ".join(sets[:SUMMARY_LENGTH]) + (f", and {more} more" if more > 0 else "")

    @property
    def targets_summary(self) -> list[tuple[str, str]]:
        """The first resources, each with its permissions, for the list of flows."""
        return list(self._permissions_by_resource().items())[:SUMMARY_LENGTH]

    @property
    def further_resources(self) -> int:
        return max(len(self._permissions_by_resource()) - SUMMARY_LENGTH, 0)

    def _permissions_by_resource(self) -> dict[str, str]:
        names: dict[str, list[str]] = {}
        for target in self.targets.all():
            resource = f"{target.resource.integration} / {target.resource}"
            names.setdefault(resource, []).append(target.permission.name)
        return {resource: ", ".join(permissions) for resource, permissions in names.items()}


def _suits() -> models.Q:
    """Match conditions whose operator suits the attribute."""
    suits = models.Q()
    for attribute, operators in OPERATORS.items():
        suits |= models.Q(attribute=attribute, operator__in=operators)
    return suits


class RequesterCondition(models.Model):
    """A condition that requesters of a flow meet; `accessflows.flows.requesters` evaluates it.

    The conditions of one set are joined by "and", the sets of a flow by "or".
    """

    flow = models.ForeignKey(
        AccessFlow, on_delete=models.CASCADE, related_name="requester_conditions"
    )
    set_number = models.PositiveSmallIntegerField()
    position = models.PositiveSmallIntegerField()
    attribute = models.CharField(max_length=16, choices=ATTRIBUTE_NAMES)
    operator = models.CharField(max_length=16, choices=OPERATOR_NAMES)

    objects = RequesterConditionQuerySet.as_manager()

    class Meta:
        ordering = ["set_number", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "set_number", "position"], name="condition_once_per_position"
            ),
            models.CheckConstraint(
                condition=_suits(),
                name="condition_operator_suits_attribute",
            ),
        ]

    def __str__(self) -> str:
        names = sorted(str(value) for value in self.values.all())
        subject = f"{self.get_attribute_display()} {self.get_operator_display()}"
        return f"{subject} {' or '.join(names) or 'a deleted user'}"


class RequesterValue(models.Model):
    """One of the values a condition compares with: a user, a group, or text.

    A deleted group leaves its row behind without it, so that "Group is not Contractors" does not
    become true of everybody: until the flow is changed, the condition is true of nobody.
    """

    condition = models.ForeignKey(
        RequesterCondition, on_delete=models.CASCADE, related_name="values"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.CASCADE,
        related_name="requester_values",
    )
    group = models.ForeignKey(
        Group, null=True, on_delete=models.SET_NULL, related_name="requester_values"
    )
    text = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["condition", "user"], name="requester_once_per_condition"
            ),
            models.UniqueConstraint(
                fields=["condition", "group"], name="requester_group_once_per_condition"
            ),
        ]

    def __str__(self) -> str:
        return self.user.name if self.user else str(self.group or self.text or "a deleted group")


class EscalationTier(models.Model):
    """A group that may also decide once nobody has for ``wait`` after the previous step."""

    flow = models.ForeignKey(AccessFlow, on_delete=models.CASCADE, related_name="escalation_tiers")
    position = models.PositiveSmallIntegerField()
    wait = models.DurationField()
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="escalated_flows")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["flow", "position"], name="tier_once_per_position"),
            models.CheckConstraint(
                condition=models.Q(position__gte=1), name="tier_position_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(wait__gt=timedelta(0)), name="tier_wait_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.group} after {format_duration(self.wait)}"


class FlowTarget(models.Model):
    """One resource and permission that a flow grants."""

    flow = models.ForeignKey(AccessFlow, on_delete=models.CASCADE, related_name="targets")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="flow_targets")
    permission = models.ForeignKey(
        Permission, on_delete=models.PROTECT, related_name="flow_targets"
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "resource", "permission"], name="target_once_per_flow"
            )
        ]

    def __str__(self) -> str:
        return f"{self.resource} · {self.permission}"

    @property
    def is_available(self) -> bool:
        """Whether it can be granted now, like `accessflows.flows.selectors.available_targets`."""
        resource, permission = self.resource, self.permission
        return resource.is_present and permission.is_present and resource.integration.is_active

    @property
    def label(self) -> str:
        """Return ``integration / resource · permission``."""
        return f"{self.resource.integration} / {self.resource} · {self.permission}"


class FlowVersion(models.Model):
    """A flow as it was from ``at`` on; the fingerprint is computed from ``terms``.

    Versions outlive their flow: they keep its id, which is never reused.
    """

    flow = models.ForeignKey(
        AccessFlow, on_delete=models.DO_NOTHING, db_constraint=False, related_name="versions"
    )
    version = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=64)
    terms = models.JSONField(encoder=DjangoJSONEncoder)
    changed_by_label = models.CharField(max_length=320)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["flow", "version"], name="version_once_per_flow")
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    @property
    def name(self) -> str:
        """Return the flow's name in this version."""
        return str(self.terms.get("name", ""))


class IntegrationJob(models.Model):
    """A job on a target that an admin requested and a worker runs, with its progress.

    ``steps`` are the checks so far, as dictionaries. ``lease_by`` names the worker that runs the job,
    until ``lease_until`` by the database's clock.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        PASSED = "passed", "Passed"
        FAILED = "failed", "Failed"

    requested_by_label = models.CharField(max_length=320)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    steps = models.JSONField(default=list, blank=True, encoder=DjangoJSONEncoder)
    requested_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_by = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["-id"]

    @property
    def is_open(self) -> bool:
        return self.state in {self.State.WAITING, self.State.RUNNING}


class CanaryRun(IntegrationJob):
    """A canary: a trial grant that goes through the whole cycle on a real target."""

    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, related_name="canary_runs"
    )
    resource = models.CharField(max_length=63)
    permission = models.CharField(max_length=63)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="canary_runs"
    )

    class Meta(IntegrationJob.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["integration"],
                name="one_open_canary_per_integration",
                condition=models.Q(state__in=["waiting", "running"]),
            )
        ]

    def __str__(self) -> str:
        return f"Canary on {self.integration}: {self.resource} · {self.permission}"


class CheckRun(IntegrationJob):
    """A check with discovery.

    Of ``to_read`` resources, ``read`` have been read for what permissions allow there.
    """

    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, related_name="check_runs"
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="check_runs"
    )
    read = models.PositiveIntegerField(default=0)
    to_read = models.PositiveIntegerField(default=0)

    class Meta(IntegrationJob.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["integration"],
                name="one_open_check_per_integration",
                condition=models.Q(state__in=["waiting", "running"]),
            )
        ]

    def __str__(self) -> str:
        return f"Check of {self.integration}"


class ProposedChange(AuthenticatedRow):
    """A change that weakens protection and waits for a second admin (`accessflows.dual_control`).

    The encrypted content is what the service is called with and what the page shows, so nobody who can
    only write to the database can have an admin confirm something else. It is forgotten once decided.
    ``fingerprint`` is the state of the target that the change was made against.
    """

    LIFETIME = timedelta(hours=72)
    MAC_FIELDS = (
        *("secret_id", "action", "target_type", "target_id", "title", "fingerprint"),
        *("proposer_id", "proposer_label", "proposed_at", "expires_at"),
    )

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        CONFIRMED = "confirmed", "Confirmed"
        REJECTED = "rejected", "Rejected"
        WITHDRAWN = "withdrawn", "Withdrawn"
        EXPIRED = "expired", "Expired"

    secret_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    action = models.CharField(max_length=32)
    action_label = models.CharField("what", max_length=80)
    target_type = models.CharField(max_length=64)
    target_id = models.CharField(max_length=32, blank=True)
    title = models.CharField(max_length=160)
    fingerprint = models.CharField(max_length=64, blank=True)
    encrypted_content = models.TextField(blank=True, editable=False)
    proposer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="proposed_changes",
    )
    proposer_label = models.CharField("proposed by", max_length=320)
    proposed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.PENDING)
    decided_by_label = models.CharField("decided by", max_length=320, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["target_type", "target_id"],
                name="pending_change_of_target",
                condition=models.Q(state="pending"),
            )
        ]

    def __str__(self) -> str:
        return f"{self.action_label} {self.title}"

    @property
    def protected_action(self) -> "ProtectedAction | None":
        """Return the declaration of its action; None for one of another release."""
        from accessflows.dual_control.actions import ACTIONS

        return ACTIONS.get(self.action)

    def encrypt(self, **content: Any) -> None:
        self.encrypted_content = encryption.encrypt(
            json.dumps(content, cls=DjangoJSONEncoder).encode(),
            purpose=encryption.PROPOSED_CHANGE,
            owner=self.secret_id,
        )

    @cached_property
    def content(self) -> dict[str, Any]:
        """Return arguments, weakenings and differences, or raise `DecryptionFailed`."""
        text = encryption.decrypt(
            self.encrypted_content, purpose=encryption.PROPOSED_CHANGE, owner=self.secret_id
        )
        content: dict[str, Any] = json.loads(text)
        return content

    @property
    def is_readable(self) -> bool:
        try:
            return bool(self.content)
        except encryption.DecryptionFailed:
            return False
