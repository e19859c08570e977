"""Evaluation of a selection: what a request would lead to now, or why it would be refused.

Submission, the preview on New Request and the simulator share it. It reads everything from the database
again and writes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from accessflows.flows.policies import FlowApprovers, is_met_by, requestable_ids
from accessflows.flows.selectors import available_now, targets_by_flow
from accessflows.models import AccessFlow, FlowTarget
from mfa.models import Strength, Verification
from mfa.verification.strength import Requirement, meets
from requests_app.exceptions import RequestRefused
from requests_app.grants.limits import GrantCounts
from requests_app.lifecycle import next_status
from requests_app.models import AccessRequest, Status
from requests_app.policies import pause_reason
from requests_app.submission.pending_mfa import check_agents_limit, check_pending_mfa_limit
from requests_app.submission.selection import Selection
from requests_app.submission.validation import check_duration, clean_justification, clean_ticket

if TYPE_CHECKING:
    from apono_portal.users.models import User

NOT_FOR_SERVICES = "Service accounts cannot use access flows that require MFA."
FLOW_UNAVAILABLE = "This access flow is not available to you. Select another one."


@dataclass
class Evaluation:
    """The outcome of a selection through one flow, None if the flow is deleted.

    ``flow_targets`` are all targets of the flow, ``targets`` the selected and available ones;
    ``is_allowed``: the flow is active and names the requester.
    """

    selection: Selection
    flow: AccessFlow | None
    flow_targets: list[FlowTarget] = field(default_factory=list)
    targets: list[FlowTarget] = field(default_factory=list)
    refusals: list[RequestRefused] = field(default_factory=list)
    justification: str = ""
    ticket: str = ""
    is_allowed: bool = False
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


class Circumstances:
    """What decides about a requester's selections apart from the flows, read once for all of them."""

    def __init__(
        self, requester: "User", stored: Mapping[int, list[FlowTarget]], *, by_agent: bool
    ) -> None:
        self.requester = requester
        self.by_agent = by_agent
        self._targets = [target for targets in stored.values() for target in targets]
        self.requestable = requestable_ids(stored, requester)

    @cached_property
    def grants(self) -> GrantCounts:
        integrations = {target.resource.integration_id for target in self._targets}
        return GrantCounts.read(self.requester, integrations)

    @cached_property
    def break_glass_pause(self) -> str:
        return pause_reason(self.requester.pk)

    @cached_property
    def pending_mfa(self) -> int:
        return AccessRequest.objects.waiting_for_code_of(self.requester).count()

    @cached_property
    def pending_mfa_by_agents(self) -> int:
        pending = AccessRequest.objects.waiting_for_code_of(self.requester)
        return pending.filter(by_agent=True).count()


def evaluate(
    *, requester: "User", selection: Selection, verification: Verification | None, now: datetime
) -> Evaluation:
    """Evaluate a selection of one flow; ``verification`` is the one behind the open window."""
    [evaluation] = evaluate_all(
        requester=requester, selections=[selection], verification=verification, now=now
    )
    return evaluation


def evaluate_all(
    *,
    requester: "User",
    selections: Sequence[Selection],
    verification: Verification | None,
    now: datetime,
    stored: Mapping[int, list[FlowTarget]] | None = None,
    by_agent: bool = False,
) -> list[Evaluation]:
    """Evaluate selections of one flow each. The number of statements does not depend on theirs.

    ``stored`` are the targets of the flows, if they were read just now. ``by_agent``: an AI agent of the
    requester makes the request.
    """
    if stored is None:
        stored = targets_by_flow({selection.flows[0].pk for selection in selections})
    circumstances = Circumstances(requester, stored, by_agent=by_agent)
    return [
        _evaluate(selection, stored, circumstances, verification=verification, now=now)
        for selection in selections
    ]


def _evaluate(
    selection: Selection,
    stored: Mapping[int, list[FlowTarget]],
    circumstances: Circumstances,
    *,
    verification: Verification | None,
    now: datetime,
) -> Evaluation:
    flow_id = selection.flows[0].pk
    targets = stored.get(flow_id, [])
    flow = targets[0].flow if targets else AccessFlow.objects.filter(pk=flow_id).first()
    is_allowed = flow_id in circumstances.requestable
    evaluation = Evaluation(selection, flow, targets, is_allowed=is_allowed)
    evaluation.collect_refusal(lambda: _check_flow(flow, now, is_allowed=is_allowed))
    if flow is None:
        return evaluation
    if flow.break_glass:
        evaluation.collect_refusal(lambda: _check_pause(circumstances))
    selected = {target.pk for target in selection.targets}
    evaluation.targets = [target for target in available_now(targets) if target.pk in selected]
    evaluation.collect_refusal(lambda: _check_person(flow, circumstances))
    evaluation.collect_refusal(lambda: _check_targets(evaluation, flow))
    evaluation.collect_refusal(lambda: _check_limits(evaluation, circumstances.grants))
    evaluation.collect_refusal(lambda: check_duration(selection.duration, flow))
    _evaluate_text(evaluation, flow)
    evaluation.is_covered = flow.require_mfa and is_covered(flow, verification)
    evaluation.needs_verification = flow.require_mfa and not evaluation.is_covered
    if evaluation.needs_verification:
        evaluation.collect_refusal(lambda: _count_pending_mfa(circumstances))
    evaluation.status_after_mfa = next_status(flow)
    return evaluation


def all_refusals(evaluations: Iterable[Evaluation]) -> list[RequestRefused]:
    """Return everything wrong with the evaluated selections, each sentence once."""
    refusals = [refusal for evaluation in evaluations for refusal in evaluation.refusals]
    return list({(one.field, one.sentence): one for one in refusals}.values())


def refusals_of_text(selection: Selection) -> list[RequestRefused]:
    """Return what is wrong with a justification while nothing is selected."""
    evaluation = Evaluation(selection, None)
    text = selection.justification
    if text is not None:
        evaluation.collect_refusal(lambda: clean_justification(text, required=True))
    return evaluation.refusals


def is_covered(flow: AccessFlow, verification: Verification | None) -> bool:
    """Whether the window permits a request through the flow without a verification of its own."""
    if verification is None or flow.verify_every_request:
        return False
    return meets(Requirement(Strength(flow.mfa_strength)), verification)


def is_approvable(flow: AccessFlow, approvers: FlowApprovers, requester: "User") -> bool:
    """Whether the approvals would suffice if everyone who may decide, also after escalation, approved."""
    sets = [*approvers.sets, *approvers.tiers.values()]
    everyone = {pk for approver_set in sets for pk in approver_set.members}
    if not flow.allow_self_approval:
        everyone.discard(requester.pk)
    return is_met_by(everyone, flow, approvers, tier=max(approvers.tiers, default=0))


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


def _check_pause(circumstances: Circumstances) -> None:
    if circumstances.break_glass_pause:
        raise RequestRefused(circumstances.break_glass_pause, field="flow")


def _check_person(flow: AccessFlow, circumstances: Circumstances) -> None:
    if flow.require_mfa and circumstances.requester.is_service:
        raise RequestRefused(NOT_FOR_SERVICES, field="flow")
    if circumstances.by_agent and flow.agents == AccessFlow.Agents.NONE:
        raise RequestRefused(
            f"{flow.name} is not open to AI agents. Its users request access in the portal.",
            field="flow",
        )


def _count_pending_mfa(circumstances: Circumstances) -> None:
    """Count a request that would wait for a code, or refuse one too many."""
    check_pending_mfa_limit(circumstances.pending_mfa)
    circumstances.pending_mfa += 1
    if circumstances.by_agent:
        check_agents_limit(circumstances.pending_mfa_by_agents)
        circumstances.pending_mfa_by_agents += 1


def _check_targets(evaluation: Evaluation, flow: AccessFlow) -> None:
    if len(evaluation.targets) != len({target.pk for target in evaluation.selection.targets}):
        raise RequestRefused(
            f"{flow.name} no longer offers everything you selected. Select again.",
            field="targets",
        )


def _check_limits(evaluation: Evaluation, grants: GrantCounts) -> None:
    if refusal := grants.refusal(target.resource.integration for target in evaluation.targets):
        raise RequestRefused(refusal, field="targets")


def _evaluate_text(evaluation: Evaluation, flow: AccessFlow) -> None:
    justification, ticket = evaluation.selection.justification, evaluation.selection.ticket
    if justification is not None:
        evaluation.justification = evaluation.collect_refusal(
            lambda: clean_justification(justification, required=flow.require_justification)
        )
        evaluation.ticket = evaluation.collect_refusal(lambda: clean_ticket(ticket, flow))
