"""What will happen, in words: a prospect as New Request, its review and the simulator tell it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from accessflows.models import AccessFlow
from accessflows.tickets import example_of
from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.core.formatting.durations import spell
from requests_app.lifecycle import pending_until
from requests_app.models import Status
from requests_app.submission.evaluation import Asking, Prospect, could_be_approved


class WindowLike(Protocol):
    """What is told of a person's verified window."""

    @property
    def enrolled(self) -> bool: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def minutes_left(self) -> int: ...


@dataclass(frozen=True)
class Happening:
    """One line of what will happen. ``kind`` is ok (covered), you (your turn) or empty (later)."""

    kind: str
    icon: str
    word: str
    detail: str


@dataclass(frozen=True)
class Outlook:
    """What will happen with one request. ``note``: it is for less time than was asked."""

    prospect: Prospect
    name: str
    targets: list[str]
    duration: str
    longest: str
    note: str
    lines: list[Happening]
    ending: str


def outlook_of(
    prospect: Prospect, person: Any, window: WindowLike, now: datetime, *, note: str = ""
) -> Outlook:
    flow = prospect.flow
    refused = [Happening("you", "i-alert", "Not possible", str(each)) for each in prospect.refusals]
    return Outlook(
        prospect=prospect,
        name=flow.name if flow else prospect.asking.flow.name,
        targets=[target.label for target in prospect.targets],
        duration=spell(prospect.asking.duration),
        longest=spell(flow.max_duration) if flow else "",
        note=note,
        lines=refused or lines_of(prospect, person, window, now),
        ending="" if refused else _ending(prospect, now),
    )


def lines_of(prospect: Prospect, person: Any, window: WindowLike, now: datetime) -> list[Happening]:
    """Say what follows on what, from the ticket to the clean-up."""
    flow = prospect.flow
    if flow is None:
        return []
    lines = _ticket(flow)
    lines += [_mfa(window, waits=prospect.waits_for_code)] if flow.require_mfa else []
    lines.append(_approval(prospect, flow, person))
    at_once = prospect.status == Status.GRANTING
    until = f", until {relative_datetime(now + prospect.asking.duration)}" if at_once else ""
    return [
        *lines,
        Happening(
            "",
            "i-key",
            "Access opens",
            f"A personal login, for {spell(prospect.asking.duration)} from then{until}.",
        ),
        Happening(
            "", "i-stop", "Access ends by itself", "The login is removed, open sessions are closed."
        ),
    ]


def names_of_approvers(flow: AccessFlow) -> list[str]:
    """Name the groups and people who approve, from what was prefetched."""
    people = [str(user).partition(" <")[0] for user in flow.approver_users.all()]
    return [group.name for group in flow.approver_groups.all()] + people


def seal_of(askings: Sequence[Asking]) -> str:
    """Return a mark of exactly this asking, so that only what was shown is sent."""
    told = [
        [
            asking.flow.pk,
            asking.flow.fingerprint,
            int(asking.duration.total_seconds()),
            sorted(asking.target_ids),
        ]
        for asking in sorted(askings, key=lambda asking: asking.flow.pk)
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def _ticket(flow: AccessFlow) -> list[Happening]:
    like = f" It looks like {example_of(flow.ticket_pattern)}." if flow.ticket_pattern else ""
    if flow.require_ticket:
        return [Happening("you", "i-ledger", "Ticket needed", f"Name the task it is for.{like}")]
    if like:
        return [Happening("", "i-ledger", "Ticket, if there is one", like.strip())]
    return []


def _mfa(window: WindowLike, *, waits: bool) -> Happening:
    if not window.enrolled:
        return Happening(
            "you", "i-shield-alert", "MFA needed", "Set it up first; the request waits meanwhile."
        )
    if waits:
        return Happening(
            "you", "i-shield-alert", "MFA needed", "A six-digit code is asked after this page."
        )
    left = window.minutes_left
    return Happening(
        "ok",
        "i-shield-check",
        "MFA needed: already covered",
        f"Good for {left} more minute{'' if left == 1 else 's'}.",
    )


def _approval(prospect: Prospect, flow: AccessFlow, person: Any) -> Happening:
    if prospect.after_code == Status.GRANTING:
        return Happening("ok", "i-check", "No approval needed", "It opens within seconds.")
    if not could_be_approved(flow, person):
        return Happening(
            "you",
            "i-alert",
            "Approval needed",
            "Nobody could approve this now. Ask an account admin to name approvers.",
        )
    return Happening("", "i-users", "Approval needed", approval_in_words(flow))


def approval_in_words(flow: AccessFlow) -> str:
    names = names_of_approvers(flow)
    needed = f"{flow.approvals_required} people" if flow.approvals_required > 1 else ""
    if flow.approval == AccessFlow.Approval.ALL_OF:
        return f"{needed.capitalize() or 'One'} from each of: {_listed(names, 'and')}."
    return f"{f'Any {needed}' if needed else 'Any one'} of: {_listed(names, 'or')}."


def _listed(names: list[str], last: str) -> str:
    *first, final = names or ["nobody"]
    return f"{', '.join(first)} {last} {final}" if first else final


def _ending(prospect: Prospect, now: datetime) -> str:
    """Say until when it waits for somebody."""
    status = prospect.status
    if status == Status.PENDING_MFA:
        return (
            f"Parked until {relative_datetime(pending_until(status, now))} if no code is entered."
        )
    if status == Status.PENDING_APPROVAL:
        return f"If nobody decides by {relative_datetime(pending_until(status, now))}, it lapses."
    return ""
