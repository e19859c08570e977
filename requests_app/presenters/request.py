"""What pages say about a request, as plain values: time left, steps, evidence, what will happen."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accessflows.models import AccessFlow
from apono_portal.core.formatting.datetimes import person, relative_datetime
from apono_portal.core.formatting.durations import format_duration
from requests_app.grants.proof_text import proof_lines
from requests_app.grants.status import grant_status
from requests_app.models import (
    AccessRequest,
    Decision,
    Extension,
    Grant,
    GrantState,
    Status,
)
from requests_app.policies import may_ask_again, may_end, may_extend
from requests_app.selectors import MOVING

ENDING_SOON = timedelta(minutes=15)
FAILED_ENDS = {Status.REJECTED, Status.LAPSED, Status.CANCELLED, Status.FAILED}


@dataclass(frozen=True)
class RemainingTime:
    """Time left of what is open (components/time_bar.html)."""

    name: str
    left: str
    of: str
    used: int
    total: int
    started: str
    ends: str
    ending: bool
    ends_at: datetime

    @classmethod
    def of_request(cls, request: AccessRequest, now: datetime) -> "RemainingTime | None":
        if request.starts_at is None or request.ends_at is None:
            return None
        total = request.ends_at - request.starts_at
        left = max(request.ends_at - now, timedelta(0))
        whole_minutes = timedelta(minutes=-(-left // timedelta(minutes=1)))
        return cls(
            name=request.reference,
            left=format_duration(whole_minutes),
            of=format_duration(request.whole_duration),
            used=int((total - left).total_seconds()),
            total=max(int(total.total_seconds()), 1),
            started=relative_datetime(request.starts_at),
            ends=relative_datetime(request.ends_at),
            ending=left <= ENDING_SOON or left <= total / 10,
            ends_at=request.ends_at,
        )


@dataclass(frozen=True)
class Step:
    """One step of a request's way. ``kind`` is done, now, you (your turn), todo or over (in vain)."""

    kind: str
    word: str
    detail: str


@dataclass(frozen=True)
class GrantCard:
    """A grant on the page: where it stands, and what the person may do with it."""

    grant: Grant
    status: str
    label: str
    sentence: str
    may_reveal: bool
    may_reset: bool
    cuts_sessions: bool
    drifts: list[str]
    proof: list[tuple[str, str]]


@dataclass(frozen=True)
class Evidence:
    """The hour a request's MFA was good for, drawn 270 units wide."""

    verified_at: datetime
    closes_at: datetime
    opened_at: datetime | None = None
    opened_x: int = 0
    now_x: int = 0

    @classmethod
    def of_request(cls, request: AccessRequest, now: datetime) -> "Evidence | None":
        closes_at = request.window_closes_at
        if request.verified_at is None or closes_at is None:
            return None
        hour = closes_at - request.verified_at

        def x(instant: datetime) -> int:
            return 1 + int(269 * min(max((instant - request.verified_at) / hour, 0), 1))  # type: ignore[operator]

        opened = request.starts_at
        inside = opened is not None and request.verified_at <= opened <= closes_at
        return cls(
            verified_at=request.verified_at,
            closes_at=closes_at,
            opened_at=opened if inside else None,
            opened_x=x(opened) if inside and opened else 0,
            now_x=x(now),
        )


@dataclass(frozen=True)
class Page:
    """Everything the page of one request says beyond its fields."""

    request: AccessRequest
    title: str
    roles: list[str]
    rail: RemainingTime | None
    steps: list[Step]
    grants: list[GrantCard]
    evidence: Evidence | None
    may_end: bool
    may_cancel: bool
    may_ask_again: bool = False
    may_extend: bool = False
    extending: str = ""
    moving: str = ""
    decisions: list[Decision] = field(default_factory=list)


def page_of(request: AccessRequest, viewer: Any, now: datetime) -> Page:
    grants = list(request.grants.all())
    stoppable = may_end(request, viewer)
    return Page(
        request=request,
        title=title_of(request),
        roles=roles_of(request),
        rail=RemainingTime.of_request(request, now) if request.status == Status.ACTIVE else None,
        steps=steps_of(request, viewer),
        grants=[_card(grant, request, viewer, now) for grant in grants],
        evidence=Evidence.of_request(request, now),
        may_end=stoppable and request.status == Status.ACTIVE,
        may_ask_again=may_ask_again(request, viewer),
        may_cancel=stoppable and (request.is_pending or request.status == Status.GRANTING),
        may_extend=may_extend(request, viewer),
        extending=extending(request),
        moving=moving_mark([request]),
        decisions=list(request.decisions.all()),
    )


def extending(request: AccessRequest) -> str:
    """Say that more time is being asked for, or that it was not given, while access is open."""
    last = next(reversed(request.extensions.all()), None) if request.max_extensions else None
    if last is None or request.status != Status.ACTIVE or last.state == Extension.State.DONE:
        return ""
    until = relative_datetime(last.to_end)
    if last.state == Extension.State.ASKED:
        return f"The target is being asked for more time, until {until}. {last.message}".strip()
    return f"Not extended to {until}. {last.message}" if last.from_end == request.ends_at else ""


def title_of(request: AccessRequest) -> str:
    """Name what is asked for: the resources, each once."""
    return ", ".join(dict.fromkeys(target.resource for target in request.targets.all()))


def roles_of(request: AccessRequest) -> list[str]:
    return list(dict.fromkeys(target.permission for target in request.targets.all()))


def next_after_mfa(request: AccessRequest) -> str:
    """Say what follows a right code."""
    automatic = request.approval == AccessFlow.Approval.AUTOMATIC
    then = "Then it opens at once." if automatic else "Then it goes to its approvers."
    return f"{then} For {format_duration(request.duration)}."


def steps_of(request: AccessRequest, viewer: Any) -> list[Step]:
    """Return the way of a request: what is done, where it stands, what is to come."""
    mine = request.requester_id == viewer.pk
    steps = [
        Step(
            "done",
            "Requested",
            f"{relative_datetime(request.created_at)} by {_who(request, viewer)}",
        )
    ]
    if request.require_mfa:
        steps.append(_mfa_step(request, mine=mine))
    if request.approval != AccessFlow.Approval.AUTOMATIC:
        steps.append(_approval_step(request))
    if request.status in FAILED_ENDS:
        done = [step for step in steps if step.kind == "done"]
        over = Step(
            "over", request.get_status_display(), relative_datetime(request.status_changed_at)
        )
        return [*done, over]
    return [*steps, _active_step(request), _end_step(request)]


def _who(request: AccessRequest, viewer: Any) -> str:
    return "you" if request.requester_id == viewer.pk else person(request.requester_label)


def _mfa_step(request: AccessRequest, *, mine: bool) -> Step:
    if request.verified_at is not None:
        return Step(
            "done",
            "MFA verified",
            f"{relative_datetime(request.verified_at)}, {request.verified_with}",
        )
    if request.status == Status.PENDING_MFA:
        until = relative_datetime(request.pending_until)
        return Step("you" if mine else "now", "Pending MFA", f"Parked until {until}")
    return Step("todo", "MFA", "")


def _approval_step(request: AccessRequest) -> Step:
    approved = [d for d in request.decisions.all() if d.verdict == Decision.Verdict.APPROVE]
    names = ", ".join(person(decision.approver_label) for decision in approved)
    if request.status in {Status.PENDING_MFA, Status.PENDING_APPROVAL}:
        if request.status == Status.PENDING_MFA:
            return Step("todo", "Approval", f"Approved by {names}" if names else "After MFA")
        until = relative_datetime(request.pending_until)
        waits = f"Approved by {names}; waits for others" if names else "Waits"
        return Step("now", "Pending Approval", f"{waits} until {until}")
    last = approved[-1].at if approved else None
    return Step(
        "done" if approved else "todo",
        "Approved",
        f"{relative_datetime(last)}, {names}" if approved else "",
    )


def _active_step(request: AccessRequest) -> Step:
    if request.status == Status.GRANTING:
        return Step("now", "Granting", "Access is being opened")
    if request.status == Status.ACTIVE:
        return Step("now", "Active", f"since {relative_datetime(request.starts_at)}")
    if request.starts_at is not None:
        return Step("done", "Active", f"from {relative_datetime(request.starts_at)}")
    if request.is_pending:
        return Step("todo", "Active", f"for {format_duration(request.duration)}")
    return Step("todo", "Active", "never opened")


def _end_step(request: AccessRequest) -> Step:
    if request.status == Status.ENDING:
        return Step("now", "Ending", "Access is being removed")
    if request.status in {Status.EXPIRED, Status.REVOKED}:
        return Step("done", request.get_status_display(), relative_datetime(request.ended_at))
    if request.ends_at is not None:
        return Step("todo", "Ended", f"{relative_datetime(request.ends_at)} at the latest")
    return Step("todo", "Ended", f"{format_duration(request.duration)} after it opens")


def _card(grant: Grant, request: AccessRequest, viewer: Any, now: datetime) -> GrantCard:
    stand = grant_status(grant, now)
    state = GrantState(grant.state)
    usable = (
        request.requester_id == viewer.pk
        and request.status == Status.ACTIVE
        and state == GrantState.ACTIVE
        and grant.deadline > now
    )
    return GrantCard(
        grant=grant,
        status=stand.standing.value,
        label=stand.label,
        sentence=_overdue(grant) if stand.overdue_for else _sentence(grant, state),
        drifts=[drift.sentence for drift in grant.drifts.all() if drift.over_at is None],
        proof=proof_lines(grant.proof),
        may_reveal=usable and grant.revealed_at is None,
        may_reset=usable and grant.revealed_at is not None,
        cuts_sessions=bool(
            usable and grant.integration and grant.integration.cut_sessions_on_reset
        ),
    )


def _overdue(grant: Grant) -> str:
    return (
        f"Its end was {relative_datetime(grant.deadline)} and it could not be cut yet. The target refuses new "
        f"sign-ins; a session that is open may go on. {grant.last_error} The portal keeps trying."
    )


def _sentence(grant: Grant, state: GrantState) -> str:
    trouble = f" {grant.last_error} The portal keeps trying." if grant.last_error else ""
    return {
        GrantState.ACTIVATING: f"The login is being made.{trouble}",
        GrantState.ACTIVE: f"Open until {relative_datetime(grant.deadline)}.",
        GrantState.ENDING: f"Access is being cut.{trouble}",
        GrantState.CONTAINED: f"Nobody can use it since {relative_datetime(grant.contained_at)}. "
        f"What is left of it is being removed.{trouble}",
        GrantState.ENDED: f"Proven gone at {relative_datetime(grant.ended_at)}.",
    }[state]


def moving_mark(requests: Iterable[AccessRequest]) -> str:
    """Return a mark of where moving requests stand; their page looks again until it changes."""
    return ",".join(
        "-".join(
            [request.reference, request.status, *(each.state for each in request.grants.all())]
        )
        for request in requests
        if request.status in MOVING
    )


@dataclass(frozen=True)
class Asked:
    """What a request asks for."""

    request: AccessRequest
    title: str
    roles: list[str]


def asked_by(requests: Iterable[AccessRequest]) -> list[Asked]:
    return [Asked(each, title_of(each), roles_of(each)) for each in requests]


@dataclass(frozen=True)
class Row:
    """A request in a list."""

    request: AccessRequest
    title: str
    roles: list[str]
    rail: RemainingTime | None
    note: str
    then: str
    may_end: bool
    may_extend: bool
    may_ask_again: bool = False


def rows_of(requests: Iterable[AccessRequest], viewer: Any, now: datetime) -> list[Row]:
    return [
        Row(
            request=request,
            title=title_of(request),
            roles=roles_of(request),
            rail=RemainingTime.of_request(request, now)
            if request.status == Status.ACTIVE
            else None,
            note=note_on(request),
            then=next_after_mfa(request),
            may_end=may_end(request, viewer) and request.status == Status.ACTIVE,
            may_ask_again=may_ask_again(request, viewer),
            may_extend=may_extend(request, viewer),
        )
        for request in requests
    ]


def note_on(request: AccessRequest) -> str:
    """Say the one time that matters about where a request stands."""
    match request.status:
        case Status.PENDING_MFA:
            return f"Parked until {relative_datetime(request.pending_until)}"
        case Status.PENDING_APPROVAL:
            return f"Lapses {relative_datetime(request.pending_until)}"
        case Status.GRANTING:
            return "Being opened"
        case Status.ACTIVE:
            return f"Ends {relative_datetime(request.ends_at)}"
        case Status.ENDING:
            return "Being removed"
    return relative_datetime(request.status_changed_at)


@dataclass(frozen=True)
class DecisionRow:
    """A decision in the list of one's own."""

    decision: Decision
    request: AccessRequest
    title: str


def decision_rows(decisions: Iterable[Decision]) -> list[DecisionRow]:
    return [DecisionRow(each, each.request, title_of(each.request)) for each in decisions]
