"""The input of an access flow, from a form or a program to the services."""

from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any

from accessflows.availability import Availability
from accessflows.flows.selectors import requester_sets_of
from accessflows.models import AccessFlow
from accessflows.requesters import Sets
from mfa.models import Strength

Terms = dict[str, Any]  # all terms of a flow as JSON values


@dataclass(frozen=True, kw_only=True)
class FlowInput:
    """All terms of an access flow.

    ``requesters`` are sets of conditions, approvers ids, ``targets`` (resource id, permission id), ``escalation`` (wait, group id)
    in order.
    """

    name: str
    description: str = ""
    require_mfa: bool = False
    mfa_strength: str = Strength.ANY
    verify_every_request: bool = False
    requesters: Sets = ()
    targets: frozenset[tuple[int, int]]
    max_duration: timedelta
    max_extensions: int = 0
    extension_duration: timedelta = timedelta(hours=1)
    available_days: tuple[int, ...] = ()
    available_from: time | None = None
    available_until: time | None = None
    available_zone: str = ""
    approval: str = AccessFlow.Approval.AUTOMATIC
    approvals_required: int = 1
    escalation: tuple[tuple[timedelta, int], ...] = ()
    approver_users: frozenset[int] = frozenset()
    approver_groups: frozenset[int] = frozenset()
    require_justification: bool = True
    ticket_pattern: str = ""
    require_ticket: bool = False
    require_approver_reason: bool = False
    allow_self_approval: bool = False
    allow_delegation: bool = False
    break_glass: bool = False
    agents: str = AccessFlow.Agents.NONE

    @property
    def availability(self) -> Availability | None:
        """When the flow can be requested; None means always."""
        return Availability.of(
            self.available_days, self.available_from, self.available_until, self.available_zone
        )

    @classmethod
    def of(cls, flow: AccessFlow) -> "FlowInput":
        """Return the terms a flow has now."""
        values: dict[str, Any] = {name: getattr(flow, name) for name in PLAIN_FIELDS}
        values["available_days"] = tuple(flow.available_days)
        values["requesters"] = requester_sets_of(flow)
        for name in APPROVER_FIELDS:
            values[name] = frozenset(getattr(flow, name).values_list("pk", flat=True))
        pairs = flow.targets.values_list("resource_id", "permission_id")
        values["escalation"] = tuple(flow.escalation_tiers.values_list("wait", "group_id"))
        return cls(**values, targets=frozenset(pairs))


APPROVER_FIELDS = ("approver_users", "approver_groups")
PLAIN_FIELDS = (
    "name",
    "description",
    "require_mfa",
    "mfa_strength",
    "verify_every_request",
    "max_duration",
    "max_extensions",
    "extension_duration",
    "available_days",
    "available_from",
    "available_until",
    "available_zone",
    "approval",
    "approvals_required",
    "require_justification",
    "ticket_pattern",
    "require_ticket",
    "require_approver_reason",
    "allow_self_approval",
    "allow_delegation",
    "break_glass",
    "agents",
)
