"""What pages show of a request, as plain values: time left, progress, MFA evidence, actions."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from accessflows.connectors.kinds import Promises
from accessflows.models import AccessFlow
from apono_portal.core.formatting.datetimes import person, relative_datetime
from apono_portal.core.formatting.durations import format_duration
from requests_app.grants.proof_text import proof_lines
from requests_app.grants.status import grant_status
from requests_app.models import AccessRequest, Decision, Extension, Grant, GrantState, Status
from requests_app.policies import can_extend, can_request_again, can_revoke
from requests_app.selectors import IN_TRANSITION

if TYPE_CHECKING:
    from apono_portal.users.models import User

EXPIRES_SOON = timedelta(minutes=15)
NOT_GRANTED = {Status.REJECTED, Status.LAPSED, Status.CANCELLED, Status.FAILED}
TIMELINE_WIDTH = 269  # of the drawing in templates/requests_app/_evidence.html


@dataclass(frozen=True)
class RemainingTime:
    """Time left of active access (components/time_bar.html)."""

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
        if request.status != Status.ACTIVE or request.starts_at is None or request.ends_at is None:
            return None
        total = request.ends_at - request.starts_at
        left = max(request.ends_at - now, timedelta(0))
        whole_minutes = timedelta(minutes=-(-left // timedelta(minutes=1)))
        return cls(
            left=format_duration(whole_minutes),
            of=format_duration(request.whole_duration),
            used=int((total - left).total_seconds()),
            total=max(int(total.total_seconds()), 1),
            started=relative_datetime(request.starts_at),
            ends=relative_datetime(request.ends_at),
            ending=left <= EXPIRES_SOON or left <= total / 10,
            ends_at=request.ends_at,
        )


@dataclass(frozen=True)
class Evidence:
    """The verified window of a request, and where in it access became active."""

    verified_at: datetime
    closes_at: datetime
    active_at: datetime | None
    active_x: int
    now_x: int

    @classmethod
    def of_request(cls, request: AccessRequest, now: datetime) -> "Evidence | None":
        verified_at, closes_at = request.verified_at, request.window_closes_at
        if verified_at is None or closes_at is None:
            return None

        def x(instant: datetime) -> int:
            share = (instant - verified_at) / (closes_at - verified_at)
            return 1 + int(TIMELINE_WIDTH * min(max(share, 0), 1))

        active_at = request.starts_at
        if active_at is not None and not verified_at <= active_at <= closes_at:
            active_at = None
        return cls(verified_at, closes_at, active_at, x(active_at) if active_at else 0, x(now))


@dataclass(frozen=True)
class RequestSummary:
    """A request by what it requests: its resources and permissions, each once."""

    request: AccessRequest

    @property
    def title(self) -> str:
        return title_of(self.request)

    @property
    def permissions(self) -> list[str]:
        return list(dict.fromkeys(target.permission for target in self.request.targets.all()))


def title_of(request: AccessRequest) -> str:
    return ", ".join(dict.fromkeys(target.resource for target in request.targets.all()))


@dataclass(frozen=True)
class DecisionRow(RequestSummary):
    """A decision in the list of a user's own."""

    decision: Decision


@dataclass(frozen=True)
class RequestRow(RequestSummary):
    """A request in a list, with what the viewer may do with it."""

    remaining_time: RemainingTime | None
    note: str
    can_revoke: bool
    can_extend: bool
    can_request_again: bool


@dataclass(frozen=True)
class PendingMfaRow(RequestSummary):
    """A request in the list below the code field. ``elsewhere`` is empty if it was made in this browser."""

    note: str
    next_step: str
    elsewhere: str
    left_out: bool

    @property
    def needs_passkey(self) -> bool:
        return self.request.mfa_requirement().needs_passkey

    @property
    def needs_device_bound(self) -> bool:
        return self.request.mfa_requirement().needs_device_bound


@dataclass(frozen=True)
class Step:
    """A step in the progress of a request. ``kind`` is done, now, you (your turn), todo or over (failed)."""

    kind: str
    label: str
    detail: str


@dataclass(frozen=True)
class GrantCard:
    """A grant on the page of its request, with what the viewer may do with it."""

    grant: Grant
    status: str
    label: str
    sentence: str
    can_reveal: bool
    can_reset: bool
    terminates_sessions: bool
    drifts: list[str]
    proof: list[tuple[str, str]]
    opens_proof: bool
    shows_login: bool
    resource_label: str
    promises: Promises | None
    connection_limit: int


@dataclass(frozen=True)
class RequestPage(RequestSummary):
    """All that the page of a request shows beyond the request's fields."""

    remaining_time: RemainingTime | None
    steps: list[Step]
    grants: list[GrantCard]
    evidence: Evidence | None
    extension_note: str
    can_revoke: bool
    can_cancel: bool
    can_request_again: bool
    can_extend: bool


def request_page(request: AccessRequest, viewer: "User", now: datetime) -> RequestPage:
    is_stoppable = can_revoke(request, viewer)
    return RequestPage(
        request=request,
        remaining_time=RemainingTime.of_request(request, now),
        steps=steps_of(request, viewer),
        grants=[_grant_card(grant, request, viewer, now) for grant in request.grants.all()],
        evidence=Evidence.of_request(request, now),
        extension_note=extension_note(request),
        can_revoke=is_stoppable and request.status == Status.ACTIVE,
        can_cancel=is_stoppable and (request.is_pending or request.status == Status.GRANTING),
        can_request_again=can_request_again(request, viewer),
        can_extend=can_extend(request, viewer),
    )


def request_rows(
    requests: Iterable[AccessRequest], viewer: "User", now: datetime
) -> list[RequestRow]:
    return [
        RequestRow(
            request=request,
            remaining_time=RemainingTime.of_request(request, now),
            note=status_note(request),
            can_revoke=can_revoke(request, viewer) and request.status == Status.ACTIVE,
            can_extend=can_extend(request, viewer),
            can_request_again=can_request_again(request, viewer),
        )
        for request in requests
    ]


def pending_mfa_rows(
    requests: Iterable[AccessRequest], elsewhere: dict[int, str], left_out: Collection[int]
) -> list[PendingMfaRow]:
    return [
        PendingMfaRow(
            request=request,
            note=status_note(request),
            next_step=_step_after_mfa(request),
            elsewhere=elsewhere.get(request.pk, ""),
            left_out=request.pk in left_out,
        )
        for request in requests
    ]


def not_released_by_code(requests: Sequence[AccessRequest]) -> str:
    """Return which requests pending MFA one code does not release, "" if it releases all."""
    requirements = [request.mfa_requirement() for request in requests]
    sentences = []
    if any(requirement.needs_passkey for requirement in requirements):
        sentences.append("The code does not release requests that require a passkey.")
    codes_needed = [r.purpose for r in requirements if r.purpose and not r.needs_passkey]
    if len(codes_needed) > 1:
        sentences.append(
            "It releases only one of those whose flow requires a verification for every request."
        )
    return " ".join(sentences)


def status_note(request: AccessRequest) -> str:
    """Return the one time that matters about the status of a request."""
    match request.status:
        case Status.PENDING_MFA:
            return f"Waiting until {relative_datetime(request.pending_until)}"
        case Status.PENDING_APPROVAL:
            return f"Lapses {relative_datetime(request.pending_until)}"
        case Status.GRANTING:
            return "Provisioning"
        case Status.ACTIVE:
            return f"Expires {relative_datetime(request.ends_at)}"
        case Status.REVOKING:
            return "Being removed"
    return relative_datetime(request.status_changed_at)


def _step_after_mfa(request: AccessRequest) -> str:
    if request.approval == AccessFlow.Approval.AUTOMATIC:
        return f"Granted immediately, for {format_duration(request.duration)}."
    return f"Sent to its approvers, for {format_duration(request.duration)}."


def progress_token(requests: Iterable[AccessRequest]) -> str:
    """Return the states of requests in transition; their page refreshes until the token changes."""
    return ",".join(
        "-".join(
            [request.reference, request.status, *(grant.state for grant in request.grants.all())]
        )
        for request in requests
        if request.status in IN_TRANSITION
    )


def extension_note(request: AccessRequest) -> str:
    """Return what became of the last extension while access is active, "" if there is nothing to say."""
    last = next(reversed(request.extensions.all()), None)
    if last is None or request.status != Status.ACTIVE or last.state == Extension.State.DONE:
        return ""
    until = relative_datetime(last.to_end)
    if last.state == Extension.State.REQUESTED:
        return f"Waiting for the target to extend access to {until}. {last.message}".strip()
    return f"Not extended to {until}. {last.message}" if last.from_end == request.ends_at else ""


def steps_of(request: AccessRequest, viewer: "User") -> list[Step]:
    """Return the progress of a request: the steps that are done, the current one and those to come."""
    is_own = request.requester_id == viewer.pk
    requester = "you" if is_own else person(request.requester_label)
    created = relative_datetime(request.created_at)
    steps = [Step("done", "Requested", f"{created} by {requester}")]
    if request.require_mfa:
        steps.append(_mfa_step(request, is_own=is_own))
    if request.approval != AccessFlow.Approval.AUTOMATIC:
        steps.append(_approval_step(request))
    if request.status in NOT_GRANTED:
        changed = relative_datetime(request.status_changed_at)
        done = [step for step in steps if step.kind == "done"]
        return [*done, Step("over", request.get_status_display(), changed)]
    return [*steps, _active_step(request), _end_step(request)]


def _mfa_step(request: AccessRequest, *, is_own: bool) -> Step:
    if request.verified_at is not None:
        verified = relative_datetime(request.verified_at)
        return Step("done", "MFA verified", f"{verified}, {request.verified_with}")
    if request.status == Status.PENDING_MFA:
        until = relative_datetime(request.pending_until)
        return Step("you" if is_own else "now", "Pending MFA", f"Waiting until {until}")
    return Step("todo", "MFA", "")


def _approval_step(request: AccessRequest) -> Step:
    approvals = [
        decision
        for decision in request.decisions.all()
        if decision.verdict == Decision.Verdict.APPROVE
    ]
    names = ", ".join(person(approval.approver_label) for approval in approvals)
    if request.status == Status.PENDING_MFA:
        return Step("todo", "Approval", f"Approved by {names}" if names else "After MFA")
    if request.status == Status.PENDING_APPROVAL:
        until = relative_datetime(request.pending_until)
        waiting = f"Approved by {names}; waiting for others" if names else "Waiting"
        return Step("now", "Pending Approval", f"{waiting} until {until}")
    if not approvals:
        return Step("todo", "Approved", "")
    return Step("done", "Approved", f"{relative_datetime(approvals[-1].at)}, {names}")


def _active_step(request: AccessRequest) -> Step:
    if request.status == Status.GRANTING:
        return Step("now", "Granting", "Access is being provisioned")
    if request.status == Status.ACTIVE:
        return Step("now", "Active", f"since {relative_datetime(request.starts_at)}")
    if request.starts_at is not None:
        return Step("done", "Active", f"from {relative_datetime(request.starts_at)}")
    if request.is_pending:
        return Step("todo", "Active", f"for {format_duration(request.duration)}")
    return Step("todo", "Active", "never active")


def _end_step(request: AccessRequest) -> Step:
    if request.status == Status.REVOKING:
        return Step("now", request.get_status_display(), "Access is being removed")
    if request.status in {Status.EXPIRED, Status.REVOKED}:
        return Step("done", request.get_status_display(), relative_datetime(request.ended_at))
    if request.ends_at is not None:
        return Step("todo", "Expired", f"{relative_datetime(request.ends_at)} at the latest")
    return Step("todo", "Expired", f"{format_duration(request.duration)} after activation")


def _grant_card(grant: Grant, request: AccessRequest, viewer: "User", now: datetime) -> GrantCard:
    status = grant_status(grant, now)
    is_usable = (
        request.requester_id == viewer.pk
        and request.status == Status.ACTIVE
        and grant.state == GrantState.ACTIVE
        and grant.deadline > now
    )
    integration = grant.integration
    kind = integration.connector_kind if integration else None
    return GrantCard(
        grant=grant,
        status=status.code,
        label=status.label,
        sentence=_overdue_sentence(grant) if status.overdue_for else _state_sentence(grant),
        drifts=[drift.sentence for drift in grant.drifts.all() if drift.resolved_at is None],
        proof=proof_lines(grant.proof),
        opens_proof=viewer.can_read_everything,
        resource_label=kind.resource_label if kind else "Resource",
        promises=kind.promises if kind else None,
        connection_limit=integration.connection_limit
        if integration and kind and kind.limits_connections
        else 0,
        shows_login=viewer.can_read_everything or request.requester_id == viewer.pk,
        can_reveal=is_usable and grant.revealed_at is None,
        can_reset=is_usable and grant.revealed_at is not None,
        terminates_sessions=integration is not None and integration.terminate_sessions_on_reset,
    )


def _overdue_sentence(grant: Grant) -> str:
    promises = grant.integration.promises if grant.integration else None
    state = (
        "The target refuses new sign-ins; an open session may continue."
        if promises and promises.is_end_enforced
        else "The target itself enforces no end, so it may still be in use."
    )
    return (
        f"Access expired {relative_datetime(grant.deadline)} and could not be revoked yet. {state} "
        f"{grant.last_error} The portal keeps trying."
    )


def _state_sentence(grant: Grant) -> str:
    problem = f" {grant.last_error} The portal keeps trying." if grant.last_error else ""
    return {
        GrantState.ACTIVATING: f"The login is being created.{problem}",
        GrantState.ACTIVE: f"Expires {relative_datetime(grant.deadline)}.",
        GrantState.REVOKING: f"Access is being revoked.{problem}",
        GrantState.CONTAINED: f"Not usable since {relative_datetime(grant.contained_at)}. "
        f"The login is being removed.{problem}",
        GrantState.REMOVED: f"Removal verified {relative_datetime(grant.removed_at)}.",
    }[GrantState(grant.state)]
