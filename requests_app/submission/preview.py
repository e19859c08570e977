"""What will happen to a request, as New Request, its review and the simulator show it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from accessflows.flows.policies import FlowApprovers
from accessflows.models import AccessFlow
from accessflows.tickets import pattern_example
from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.core.formatting.durations import format_duration
from mfa.models import Strength
from mfa.verification.strength import Requirement
from requests_app.lifecycle import pending_until
from requests_app.models import Status
from requests_app.submission.evaluation import Evaluation, is_approvable

if TYPE_CHECKING:
    from apono_portal.users.models import User


class WindowLike(Protocol):
    """What a preview needs to know of a verified window."""

    @property
    def enrolled(self) -> bool: ...
    @property
    def minutes_left(self) -> int: ...


@dataclass(frozen=True)
class PreviewLine:
    """One step. ``kind`` is "ok" (covered), "you" (the requester's turn) or "" (later)."""

    kind: str
    icon: str
    title: str
    detail: str


def preview_request(
    evaluation: Evaluation,
    approvers: FlowApprovers,
    requester: "User",
    window: WindowLike,
    now: datetime,
    *,
    note: str = "",
) -> dict[str, object]:
    """Return the context of ``requests_app/_preview.html`` for one evaluation."""
    flow, selection = evaluation.flow, evaluation.selection
    return {
        "name": (flow or selection.flows[0]).name,
        "targets": [target.label for target in evaluation.targets],
        "duration": format_duration(selection.duration),
        "max_duration": format_duration(flow.max_duration) if flow else "",
        "note": note,
        "lines": preview_lines(evaluation, approvers, requester, window, now),
        "deadline": _deadline(evaluation, now),
    }


def preview_lines(
    evaluation: Evaluation,
    approvers: FlowApprovers,
    requester: "User",
    window: WindowLike,
    now: datetime,
) -> list[PreviewLine]:
    """Return the steps of the request in order, or why it would be refused."""
    flow = evaluation.flow
    if flow is None or evaluation.refusals:
        return [
            PreviewLine("you", "i-alert", "Not possible", refusal.sentence)
            for refusal in evaluation.refusals
        ]
    lines = _ticket(flow)
    if flow.require_mfa:
        lines.append(_mfa(flow, window, needs_verification=evaluation.needs_verification))
    duration = evaluation.selection.duration
    is_immediate = evaluation.status == Status.GRANTING
    until = f", until {relative_datetime(now + duration)}" if is_immediate else ""
    access = f"A personal login, for {format_duration(duration)} from then{until}."
    return [
        *lines,
        _approval(evaluation, flow, approvers, requester),
        PreviewLine("", "i-key", "Access starts", access),
        PreviewLine(
            "",
            "i-stop",
            "Access expires automatically",
            "The login is removed and open sessions are terminated.",
        ),
    ]


def approval_text(flow: AccessFlow, names: list[str]) -> str:
    """Return who approves, such as "Any 2 of: Owners or Priya Raman."."""
    number = f"{flow.approvals_required} approvers" if flow.approvals_required > 1 else ""
    if flow.approval == AccessFlow.Approval.ALL_OF:
        return f"{number.capitalize() or 'One'} from each of: {_joined(names, 'and')}."
    return f"{f'Any {number}' if number else 'Any one'} of: {_joined(names, 'or')}."


def _ticket(flow: AccessFlow) -> list[PreviewLine]:
    example = f"For example {pattern_example(flow.ticket_pattern)}." if flow.ticket_pattern else ""
    if flow.require_ticket:
        return [
            PreviewLine("you", "i-ledger", "Ticket required", f"Name the task. {example}".strip())
        ]
    return [PreviewLine("", "i-ledger", "Ticket (optional)", example)] if example else []


def _mfa(flow: AccessFlow, window: WindowLike, *, needs_verification: bool) -> PreviewLine:
    if not window.enrolled:
        detail = "Set it up first; the request waits for you."
        return PreviewLine("you", "i-shield-alert", "MFA required", detail)
    requirement = Requirement(Strength(flow.mfa_strength))
    if needs_verification and requirement.needs_passkey:
        return _passkey(requirement)
    if needs_verification:
        again = " This flow requires it for every request." if flow.verify_every_request else ""
        detail = f"You'll verify on the next page.{again}"
        return PreviewLine("you", "i-shield-alert", "MFA required", detail)
    left = window.minutes_left
    detail = f"Valid for {left} more minute{'' if left == 1 else 's'}."
    return PreviewLine("ok", "i-shield-check", "MFA required: already verified", detail)


def _passkey(requirement: Requirement) -> PreviewLine:
    if requirement.needs_device_bound:
        detail = "You'll use it on the next page. Codes and synced passkeys are not accepted."
        return PreviewLine("you", "i-passkey", "Device-bound passkey required", detail)
    detail = "You'll use it on the next page. Codes are not accepted."
    return PreviewLine("you", "i-passkey", "Passkey required", detail)


def _approval(
    evaluation: Evaluation, flow: AccessFlow, approvers: FlowApprovers, requester: "User"
) -> PreviewLine:
    if flow.break_glass:
        detail = "All admins are notified now, and one of them reviews this access afterwards."
        return PreviewLine("you", "i-bolt", "Break-glass: no approval", detail)
    if evaluation.status_after_mfa == Status.GRANTING:
        detail = "Access starts within seconds."
        return PreviewLine("ok", "i-check", "No approval required", detail)
    if not is_approvable(flow, approvers, requester):
        detail = "Nobody could approve this now. Ask an account admin to name approvers."
        return PreviewLine("you", "i-alert", "Approval required", detail)
    return PreviewLine("", "i-users", "Approval required", approval_text(flow, approvers.names))


def _joined(names: list[str], conjunction: str) -> str:
    *first, last = names or ["nobody"]
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def _deadline(evaluation: Evaluation, now: datetime) -> str:
    """Return until when the request stays pending, as a sentence."""
    status = evaluation.status
    if status == Status.PENDING_MFA:
        until = relative_datetime(pending_until(status, now))
        return f"Pending until {until} if no code is entered."
    if status == Status.PENDING_APPROVAL:
        return f"Lapses if nobody decides by {relative_datetime(pending_until(status, now))}."
    return ""
