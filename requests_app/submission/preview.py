"""What will happen, in words: a evaluation as New Request, its review and the simulator tell it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from accessflows.models import AccessFlow
from accessflows.tickets import pattern_example
from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.core.formatting.durations import format_duration
from requests_app.lifecycle import pending_until
from requests_app.models import Status
from requests_app.submission.evaluation import Evaluation, RequestDraft, is_approvable


class WindowLike(Protocol):
    """What is told of a person's verified window."""

    @property
    def enrolled(self) -> bool: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def minutes_left(self) -> int: ...


@dataclass(frozen=True)
class PreviewLine:
    """One line of what will happen. ``kind`` is ok (covered), you (your turn) or empty (later)."""

    kind: str
    icon: str
    word: str
    detail: str


@dataclass(frozen=True)
class RequestPreview:
    """What will happen with one request. ``note``: it is for less time than was asked."""

    evaluation: Evaluation
    name: str
    targets: list[str]
    duration: str
    longest: str
    note: str
    lines: list[PreviewLine]
    ending: str


def preview_request(
    evaluation: Evaluation, person: Any, window: WindowLike, now: datetime, *, note: str = ""
) -> RequestPreview:
    flow = evaluation.flow
    refused = [
        PreviewLine("you", "i-alert", "Not possible", str(each)) for each in evaluation.refusals
    ]
    return RequestPreview(
        evaluation=evaluation,
        name=flow.name if flow else evaluation.draft.flow.name,
        targets=[target.label for target in evaluation.targets],
        duration=format_duration(evaluation.draft.duration),
        longest=format_duration(flow.max_duration) if flow else "",
        note=note,
        lines=refused or lines_of(evaluation, person, window, now),
        ending="" if refused else _ending(evaluation, now),
    )


def lines_of(
    evaluation: Evaluation, person: Any, window: WindowLike, now: datetime
) -> list[PreviewLine]:
    """Say what follows on what, from the ticket to the clean-up."""
    flow = evaluation.flow
    if flow is None:
        return []
    lines = _ticket(flow)
    lines += [_mfa(window, waits=evaluation.waits_for_code)] if flow.require_mfa else []
    lines.append(_approval(evaluation, flow, person))
    at_once = evaluation.status == Status.GRANTING
    until = f", until {relative_datetime(now + evaluation.draft.duration)}" if at_once else ""
    return [
        *lines,
        PreviewLine(
            "",
            "i-key",
            "Access opens",
            f"A personal login, for {format_duration(evaluation.draft.duration)} from then{until}.",
        ),
        PreviewLine(
            "", "i-stop", "Access ends by itself", "The login is removed, open sessions are closed."
        ),
    ]


def names_of_approvers(flow: AccessFlow) -> list[str]:
    """Name the groups and people who approve, from what was prefetched."""
    people = [str(user).partition(" <")[0] for user in flow.approver_users.all()]
    return [group.name for group in flow.approver_groups.all()] + people


def seal_of(drafts: Sequence[RequestDraft]) -> str:
    """Return a mark of exactly this draft, so that only what was shown is sent."""
    told = [
        [
            draft.flow.pk,
            draft.flow.fingerprint,
            int(draft.duration.total_seconds()),
            sorted(draft.target_ids),
        ]
        for draft in sorted(drafts, key=lambda draft: draft.flow.pk)
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def _ticket(flow: AccessFlow) -> list[PreviewLine]:
    like = f" It looks like {pattern_example(flow.ticket_pattern)}." if flow.ticket_pattern else ""
    if flow.require_ticket:
        return [PreviewLine("you", "i-ledger", "Ticket needed", f"Name the task it is for.{like}")]
    if like:
        return [PreviewLine("", "i-ledger", "Ticket, if there is one", like.strip())]
    return []


def _mfa(window: WindowLike, *, waits: bool) -> PreviewLine:
    if not window.enrolled:
        return PreviewLine(
            "you", "i-shield-alert", "MFA needed", "Set it up first; the request waits meanwhile."
        )
    if waits:
        return PreviewLine(
            "you", "i-shield-alert", "MFA needed", "A six-digit code is asked after this page."
        )
    left = window.minutes_left
    return PreviewLine(
        "ok",
        "i-shield-check",
        "MFA needed: already covered",
        f"Good for {left} more minute{'' if left == 1 else 's'}.",
    )


def _approval(evaluation: Evaluation, flow: AccessFlow, person: Any) -> PreviewLine:
    if evaluation.after_code == Status.GRANTING:
        return PreviewLine("ok", "i-check", "No approval needed", "It opens within seconds.")
    if not is_approvable(flow, person):
        return PreviewLine(
            "you",
            "i-alert",
            "Approval needed",
            "Nobody could approve this now. Ask an account admin to name approvers.",
        )
    return PreviewLine("", "i-users", "Approval needed", approval_in_words(flow))


def approval_in_words(flow: AccessFlow) -> str:
    names = names_of_approvers(flow)
    needed = f"{flow.approvals_required} people" if flow.approvals_required > 1 else ""
    if flow.approval == AccessFlow.Approval.ALL_OF:
        return f"{needed.capitalize() or 'One'} from each of: {_listed(names, 'and')}."
    return f"{f'Any {needed}' if needed else 'Any one'} of: {_listed(names, 'or')}."


def _listed(names: list[str], last: str) -> str:
    *first, final = names or ["nobody"]
    return f"{', '.join(first)} {last} {final}" if first else final


def _ending(evaluation: Evaluation, now: datetime) -> str:
    """Say until when it waits for somebody."""
    status = evaluation.status
    if status == Status.PENDING_MFA:
        return (
            f"Parked until {relative_datetime(pending_until(status, now))} if no code is entered."
        )
    if status == Status.PENDING_APPROVAL:
        return f"If nobody decides by {relative_datetime(pending_until(status, now))}, it lapses."
    return ""
