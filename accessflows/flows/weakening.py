"""What a change of a flow's terms weakens, in sentences for a review."""

from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow
from mfa.models import Strength

_STRENGTHS = [
    str(one) for one in (Strength.ANY, Strength.PHISHING_RESISTANT, Strength.DEVICE_BOUND)
]
_APPROVALS = [
    str(one)
    for one in (
        AccessFlow.Approval.AUTOMATIC,
        AccessFlow.Approval.ANY_OF,
        AccessFlow.Approval.ALL_OF,
    )
]
_AGENTS = [str(one) for one in AccessFlow.Agents]
_TURNED_OFF = {
    "require_mfa": "MFA is no longer required.",
    "verify_every_request": "One verification is valid for an hour again.",
    "require_justification": "A justification is no longer required.",
    "require_ticket": "A ticket is no longer required.",
    "require_approver_reason": "Approvers no longer give a reason.",
}
_TURNED_ON = {
    "break_glass": "It becomes a break-glass flow, without approval.",
    "allow_self_approval": "Requesters can approve their own requests.",
    "allow_delegation": "Permissions that can give others access are allowed.",
}


def weakened_protection(before: FlowInput, after: FlowInput) -> tuple[str, ...]:
    """Return a sentence for each term that protects less than before."""
    off = [s for name, s in _TURNED_OFF.items() if getattr(before, name) > getattr(after, name)]
    on = [s for name, s in _TURNED_ON.items() if getattr(before, name) < getattr(after, name)]
    conditions = {
        "Weaker methods are accepted for verification.": after.require_mfa
        and _rank(_STRENGTHS, before.mfa_strength) > _rank(_STRENGTHS, after.mfa_strength),
        "Fewer approvals are needed.": _needs_fewer_approvals(before, after),
        "AI agents can do more.": _rank(_AGENTS, before.agents) < _rank(_AGENTS, after.agents),
        "More users can approve.": bool(_approvers(after) - _approvers(before))
        and before.approval != AccessFlow.Approval.AUTOMATIC,
        "Access lasts longer.": after.max_duration > before.max_duration
        or _extended(after) > _extended(before),
        "It can be requested at other times.": before.availability is not None
        and before.availability != after.availability,
        "Other ticket references are accepted.": before.ticket_pattern
        not in {"", after.ticket_pattern},
    }
    return (*off, *on, *(sentence for sentence, is_weaker in conditions.items() if is_weaker))


def _rank(order: list[str], value: str) -> int:
    return order.index(str(value))


def _needs_fewer_approvals(before: FlowInput, after: FlowInput) -> bool:
    if _rank(_APPROVALS, after.approval) < _rank(_APPROVALS, before.approval):
        return True
    lost = _approvers(before) - _approvers(after)
    is_fewer_groups = after.approval == AccessFlow.Approval.ALL_OF and bool(lost)
    return is_fewer_groups or after.approvals_required < before.approvals_required


def _approvers(terms: FlowInput) -> set[tuple[str, int]]:
    """Return everybody who may decide, at once or after escalation."""
    escalated = {("group", group) for _, group in terms.escalation}
    groups = {("group", pk) for pk in terms.approver_groups} | escalated
    return groups | {("user", pk) for pk in terms.approver_users}


def _extended(terms: FlowInput) -> float:
    total = terms.max_duration + terms.max_extensions * terms.extension_duration
    return total.total_seconds()
