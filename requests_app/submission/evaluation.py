"""Evaluation of a selection: what a request would lead to now, or why it would be refused.

Submission, the preview on New Request and the simulator share it. It reads everything from the database
again and writes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from accessflows.flows.policies import (
    APPROVE,
    approval_met,
    approver_sets,
    escalation_sets,
    flow_for,
)
from accessflows.flows.selectors import all_targets_of, available_now
from accessflows.models import AccessFlow, FlowTarget
from mfa.models import Strength, Verification
from mfa.verification.strength import Requirement, meets
from requests_app.exceptions import RequestRefused
from requests_app.grants.limits import limit_refusal
from requests_app.lifecycle import next_status
from requests_app.models import Status
from requests_app.submission.pending_mfa import check_pending_mfa_limit
from requests_app.submission.selection import Selection
from requests_app.submission.validation import check_duration, clean_justification, clean_ticket

if TYPE_CHECKING:
    from apono_portal.users.models import User

FLOW_UNAVAILABLE = "This access flow is not available to you. Select another one."


@dataclass
class Evaluation:
    """The outcome of a selection through one flow, None if the flow is deleted.

    ``flow_targets`` are all targets of the flow, ``targets`` the selected and available ones.
    """

    selection: Selection
    flow: AccessFlow | None
    flow_targets: list[FlowTarget] = field(default_factory=list)
    targets: list[FlowTarget] = field(default_factory=list)
    refusals: list[RequestRefused] = field(default_factory=list)
    justification: str = ""
    ticket: str = ""
    needs_verification: bool = False
    is_covered: bool = False
    status_after_mfa: Status | None = None

    @property
    def status(self) -> Status | None:
        """The first status of the request; None if it would be refused."""
        if self.refusals:
            return None
        return Status.PENDING_MFA if self.needs_verification else self.status_after_mfa

    def collect_refusal(self, check: Callable[[], str | None]) -> str:
        """Return the result of a check; add its refusal to the others, so that all are shown at once."""
        try:
            return check() or ""
        except RequestRefused as refusal:
            self.refusals.append(refusal)
            return ""


def evaluate(
    *, requester: "User", selection: Selection, verification: Verification | None, now: datetime
) -> Evaluation:
    """Evaluate a selection of one flow; ``verification`` is the one behind the requester's open window."""
    [selected_flow] = selection.flows
    flow, is_allowed = flow_for(selected_flow.pk, requester)
    evaluation = Evaluation(selection, flow)
    evaluation.collect_refusal(lambda: _check_flow(flow, now, is_allowed=is_allowed))
    if flow is None:
        return evaluation
    evaluation.flow_targets = all_targets_of(flow)
    selected = {target.pk for target in selection.targets}
    available = available_now(evaluation.flow_targets)
    evaluation.targets = [target for target in available if target.pk in selected]
    evaluation.collect_refusal(lambda: _check_targets(evaluation, flow))
    evaluation.collect_refusal(lambda: _check_limits(evaluation, requester))
    evaluation.collect_refusal(lambda: check_duration(selection.duration, flow))
    _evaluate_text(evaluation, flow)
    evaluation.is_covered = flow.require_mfa and is_covered(flow, verification)
    evaluation.needs_verification = flow.require_mfa and not evaluation.is_covered
    if evaluation.needs_verification:
        evaluation.collect_refusal(lambda: check_pending_mfa_limit(requester))
    evaluation.status_after_mfa = next_status(flow)
    return evaluation


def is_covered(flow: AccessFlow, verification: Verification | None) -> bool:
    """Whether the window permits a request through the flow without a verification of its own."""
    if verification is None or flow.verify_every_request:
        return False
    return meets(Requirement(Strength(flow.mfa_strength)), verification)


def is_approvable(flow: AccessFlow, requester: "User") -> bool:
    """Whether the approvals would suffice if everyone who may decide, also after escalation, approved."""
    tier = flow.escalation_tiers.count()
    sets = [*approver_sets(flow), *escalation_sets(flow, tier)]
    approvers = frozenset().union(*(approver_set.members for approver_set in sets))
    decisions = [_Approval(approver_id) for approver_id in approvers]
    return approval_met(flow, decisions, requester_id=requester.pk, tier=tier)


@dataclass
class _Approval:
    approver_id: int | None
    verdict: str = APPROVE


def _check_flow(flow: AccessFlow | None, now: datetime, *, is_allowed: bool) -> None:
    if flow is None or not is_allowed:
        raise RequestRefused(FLOW_UNAVAILABLE, field="flow")
    availability = flow.availability
    if availability is not None and not availability.holds_at(now):
        opening = availability.next_opening(now)
        raise RequestRefused(
            f"{flow.name} is available {availability}. It is next available on "
            f"{opening:%A %-d %B at %H:%M} in that time zone.",
            field="flow",
        )


def _check_targets(evaluation: Evaluation, flow: AccessFlow) -> None:
    if len(evaluation.targets) != len({target.pk for target in evaluation.selection.targets}):
        raise RequestRefused(
            f"{flow.name} no longer offers everything you selected. Select again.",
            field="targets",
        )


def _check_limits(evaluation: Evaluation, requester: "User") -> None:
    integrations = [target.resource.integration for target in evaluation.targets]
    if refusal := limit_refusal(requester, integrations):
        raise RequestRefused(refusal, field="targets")


def _evaluate_text(evaluation: Evaluation, flow: AccessFlow) -> None:
    justification, ticket = evaluation.selection.justification, evaluation.selection.ticket
    if justification is not None:
        evaluation.justification = evaluation.collect_refusal(
            lambda: clean_justification(justification, required=flow.require_justification)
        )
        evaluation.ticket = evaluation.collect_refusal(lambda: clean_ticket(ticket, flow))
