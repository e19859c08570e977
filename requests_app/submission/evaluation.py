"""What comes of draft: the one judgement that submission, the summary on New Request and the
simulator share. It reads everything afresh and writes nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accessflows.flows.policies import APPROVE, approval_met, approver_sets, flow_for, escalation_sets
from accessflows.flows.selectors import available_now, all_targets_of
from accessflows.models import AccessFlow, FlowTarget
from requests_app.exceptions import RequestRefused
from requests_app.models import Status
from requests_app.policies import (
    check_duration,
    clean_justification,
    clean_ticket,
    next_status,
)
from requests_app.submission.pending_mfa import refuse_more_parked

FLOW_GONE = "This access flow cannot be used any more, or not by you. Choose another."


@dataclass(frozen=True)
class RequestDraft:
    """What a person chooses: targets of one flow, and for how long. All else is the flow's."""

    flow: AccessFlow
    target_ids: frozenset[int]
    duration: timedelta


@dataclass(frozen=True)
class Words:
    """What a person writes beside it."""

    justification: str
    ticket: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What would come of an draft now: where a request would stand, or why there would be none.

    ``flow`` is as stored; None if it is gone. ``named`` is all it names, ``targets`` what is asked
    for and given now. ``waits_for_code``: it would be pending_mfa.
    """

    draft: RequestDraft
    flow: AccessFlow | None
    named: list[FlowTarget] = field(default_factory=list)
    targets: list[FlowTarget] = field(default_factory=list)
    refusals: list[RequestRefused] = field(default_factory=list)
    words: Words = Words("")
    waits_for_code: bool = False
    after_code: Status | None = None

    @property
    def status(self) -> Status | None:
        """Where the request would stand at first; None if it would be refused."""
        if self.refusals:
            return None
        return Status.PENDING_MFA if self.waits_for_code else self.after_code


def evaluate(
    *, person: Any, draft: RequestDraft, verified: bool, words: Words | None, now: datetime
) -> Evaluation:
    """Judge an draft. ``verified``: the person's window is open. Without ``words`` they are not
    judged, as nothing is written yet."""
    flow, allowed = flow_for(draft.flow.pk, person)
    refusals = list(filter(None, [_flow_refusal(flow, now, allowed=allowed)]))
    if flow is None:
        return Evaluation(draft, None, refusals=refusals)
    named = all_targets_of(flow)
    targets, written = _targets(flow, available_now(named), draft.target_ids, refusals), Words("")
    _try(refusals, check_duration, draft.duration, flow)
    if words is not None:
        said = _try(
            refusals, clean_justification, words.justification, required=flow.require_justification
        )
        written = Words(said or "", _try(refusals, clean_ticket, words.ticket, flow) or "")
    waits_for_code = flow.require_mfa and not verified
    if waits_for_code:
        _try(refusals, refuse_more_parked, person)
    return Evaluation(
        draft,
        flow,
        named=named,
        targets=targets,
        refusals=refusals,
        words=written,
        waits_for_code=waits_for_code,
        after_code=next_status(flow),
    )


def is_approvable(flow: AccessFlow, person: Any) -> bool:
    """Would it be enough if everybody who may decide on this person's request, sooner or later, did?"""
    tier = flow.escalation_tiers.count()
    sets = [*approver_sets(flow), *escalation_sets(flow, tier)]
    everybody = frozenset().union(*(each.members for each in sets))
    decisions = [_Approval(approver_id) for approver_id in everybody]
    return approval_met(flow, decisions, requester_id=person.pk, tier=tier)


@dataclass
class _Approval:
    approver_id: int | None
    verdict: str = APPROVE


def _try(refusals: list[RequestRefused], check: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what a check returns; note its refusal and go on, so that all are told at once."""
    try:
        return check(*args, **kwargs)
    except RequestRefused as refused:
        refusals.append(refused)
        return None


def _flow_refusal(
    flow: AccessFlow | None, now: datetime, *, allowed: bool
) -> RequestRefused | None:
    if flow is None or not allowed:
        return RequestRefused(FLOW_GONE, field="flow")
    available = flow.availability
    if available is None or available.holds_at(now):
        return None
    opens = available.next_opening(now)
    return RequestRefused(
        f"{flow.name} can be requested {available}. It opens next on "
        f"{opens:%A %-d %B at %H:%M} there.",
        field="flow",
    )


def _targets(
    flow: AccessFlow,
    given: list[FlowTarget],
    target_ids: Collection[int],
    refusals: list[RequestRefused],
) -> list[FlowTarget]:
    wanted = set(target_ids)
    found = [target for target in given if target.pk in wanted]
    if not wanted:
        refusals.append(RequestRefused(f"Choose what you need of {flow.name}.", field="targets"))
    elif len(found) != len(wanted):
        refusals.append(
            RequestRefused(
                f"Not everything you chose is given by {flow.name} now. Choose again.",
                field="targets",
            )
        )
    return found
