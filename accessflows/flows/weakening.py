"""What a change of a flow's terms weakens, in sentences: for reviews, plans and dual control."""

from collections.abc import Iterator
from datetime import timedelta

from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow
from apono_portal.core.formatting.durations import format_duration
from mfa.models import Strength

_STRENGTHS, _APPROVALS = Strength.values, AccessFlow.Approval.values  # the weakest first
_AGENTS = AccessFlow.Agents.values  # the least first


def weakenings(before: FlowInput, after: FlowInput) -> Iterator[str]:
    """Yield a sentence for each way in which ``after`` protects less. It names terms of ``after`` only.

    These are the ways that a second admin confirms where `DUAL_CONTROL` is on.
    """
    if before.require_mfa and not after.require_mfa:
        yield "Requests need no MFA."
    elif _STRENGTHS.index(after.mfa_strength) < _STRENGTHS.index(before.mfa_strength):
        yield "A weaker MFA method is accepted."
    if after.require_mfa and before.verify_every_request and not after.verify_every_request:
        yield "One verification counts for several requests."
    if after.allow_self_approval and not before.allow_self_approval:
        yield "Requesters can approve their own requests."
    yield from _weaker_approval(before, after)
    if _AGENTS.index(after.agents) > _AGENTS.index(before.agents):
        yield f"AI agents {AccessFlow.Agents(after.agents).label.lower()}."
    if after.max_duration > before.max_duration:
        yield f"Access lasts up to {format_duration(after.max_duration)}."
    elif _longest(after) > _longest(before):
        yield f"With extensions, access lasts up to {format_duration(_longest(after))}."


def weakened_protection(before: FlowInput, after: FlowInput) -> tuple[str, ...]:
    """Return `weakenings`, and a sentence for each further term that protects less than before."""
    further = {
        "It becomes a break-glass flow.": after.break_glass and not before.break_glass,
        "A justification is no longer required.": before.require_justification
        and not after.require_justification,
        "A ticket is no longer required.": before.require_ticket and not after.require_ticket,
        "Approvers no longer give a reason.": before.require_approver_reason
        and not after.require_approver_reason,
        "Permissions that can give others access are allowed.": after.allow_delegation
        and not before.allow_delegation,
        "More users can approve.": bool(_approvers(after) - _approvers(before))
        and before.approval != AccessFlow.Approval.AUTOMATIC,
        "It can be requested at other times.": before.availability is not None
        and before.availability != after.availability,
        "Other ticket references are accepted.": before.ticket_pattern
        not in {"", after.ticket_pattern},
    }
    sentences = (sentence for sentence, is_weaker in further.items() if is_weaker)
    return (*weakenings(before, after), *sentences)


def _weaker_approval(before: FlowInput, after: FlowInput) -> Iterator[str]:
    ranks = [_APPROVALS.index(terms.approval) for terms in (before, after)]
    if not ranks[1]:
        if ranks[0]:
            yield "Requests need no approval."
    elif ranks[1] < ranks[0]:
        yield f"Approval is {AccessFlow.Approval(after.approval).label.lower()}."
    elif _approvals_needed(after) < _approvals_needed(before):
        yield f"Approvals needed: {_approvals_needed(after)}."


def _approvals_needed(terms: FlowInput) -> int:
    """Return how many approvals a request needs: of one set of approvers, or of each."""
    if terms.approval == AccessFlow.Approval.ALL_OF:
        sets = len(terms.approver_groups) + bool(terms.approver_users)  # named users are one set
        return terms.approvals_required * sets
    return terms.approvals_required


def _approvers(terms: FlowInput) -> set[tuple[str, int]]:
    """Return everybody who may decide, at once or after escalation."""
    escalated = {("group", group) for _, group in terms.escalation}
    groups = {("group", pk) for pk in terms.approver_groups} | escalated
    return groups | {("user", pk) for pk in terms.approver_users}


def _longest(terms: FlowInput) -> timedelta:
    return terms.max_duration + terms.max_extensions * terms.extension_duration
