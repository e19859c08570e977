"""Approving and rejecting requests."""

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from accessflows.flows.policies import can_decide
from accessflows.models import AccessFlow
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.models import Verification
from mfa.verification.evidence import require_evidence
from mfa.verification.locking import lock_state
from mfa.verification.window import Window
from requests_app.approvals.invalidation import remove_voided_approvals
from requests_app.approvals.review import review_digest
from requests_app.approvals.selectors import rights_of
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.lifecycle import (
    cancel_ineligible,
    conflict_on,
    lock_request,
    next_status,
    pending_until,
    transition,
)
from requests_app.models import AccessRequest, Decision, Status
from requests_app.policies import (
    AGENTS_DECIDE_NOTHING,
    DECISION,
    has_decided,
    ineligibility_reason,
)
from requests_app.submission.validation import clean_reason

if TYPE_CHECKING:
    from apono_portal.users.models import User

APPROVE = Decision.Verdict.APPROVE
REJECT = Decision.Verdict.REJECT


def decide_request(
    *,
    actor: "User",
    request: AccessRequest,
    verdict: Decision.Verdict,
    reason: str,
    fingerprint: str,
    window: Window | None,
    client_info: ClientInfo = SYSTEM,
    digest: str | None = None,
) -> AccessRequest:
    """Record an approver's decision, bound to the fingerprint of the flow.

    A page that shows the request adds the `review_digest` of what it showed.

    Raises `WindowClosed` when a protected flow requires the approver's MFA, `RequestRefused` when the
    user may not decide or the reason is missing, `Conflict` when someone else acted first or the
    request is no longer eligible (which cancels it).
    """
    if client_info.is_agent:
        raise RequestRefused(AGENTS_DECIDE_NOTHING)
    with transaction.atomic():
        lock_state(actor.pk)
        request = lock_request(request.pk)
        remove_voided_approvals(request=request)
        flow = _check_may_decide(request, actor)
        if sentence := ineligibility_reason(request):
            cancel_ineligible(request, sentence)
        else:
            if fingerprint != request.flow_fingerprint or not _is_current(request, digest):
                raise Conflict("This page is out of date. Review the request again.")
            decision = _create_decision(request, flow, actor, verdict, reason, window)
            _apply(request, flow, actor, decision, client_info)
    if sentence:
        raise Conflict(f"{request.reference} was cancelled. {sentence}")
    return request


def _check_may_decide(request: AccessRequest, actor: "User") -> AccessFlow:
    flow = request.flow
    if flow is None or not can_decide(flow, actor, request.requester, tier=request.escalation_tier):
        raise RequestRefused("You are not an approver of this request. Nothing was decided.")
    if request.status != Status.PENDING_APPROVAL:
        raise conflict_on(request)
    if request.pending_until is not None and request.pending_until <= timezone.now():
        raise Conflict(
            f"The time to decide on {request.reference} is over. The requester can request again."
        )
    if has_decided(request.decisions.all(), actor):
        raise Conflict(
            f"You have already approved {request.reference}. It is waiting for other approvers."
        )
    return flow


def _is_current(request: AccessRequest, digest: str | None) -> bool:
    """Is what the page showed still what there is?"""
    return digest is None or digest == review_digest(request, rights_of(request))


def _create_decision(
    request: AccessRequest,
    flow: AccessFlow,
    actor: "User",
    verdict: Decision.Verdict,
    reason: str,
    window: Window | None,
) -> Decision:
    needs_reason = verdict == REJECT or flow.require_approver_reason
    reason = clean_reason(reason, required=needs_reason)
    evidence = _evidence(request, actor, window) if request.require_mfa else None
    decision = Decision(
        request=request,
        approver=actor,
        approver_label=str(actor),
        verdict=verdict,
        reason=reason,
        fingerprint=request.flow_fingerprint,
        verification=evidence,
    )
    decision.sign().save(force_insert=True)
    return decision


def _evidence(request: AccessRequest, actor: "User", window: Window | None) -> Verification:
    """Return the approver's evidence, which must be as strong as the requester's."""
    requirement = request.mfa_requirement(DECISION)
    return require_evidence(user=actor, window=window, requirement=requirement)


def _apply(
    request: AccessRequest,
    flow: AccessFlow,
    actor: "User",
    decision: Decision,
    client_info: ClientInfo,
) -> None:
    """Move the request on as the decision says, or record that it needs more approvals."""
    metadata = {"reason": decision.reason, "verification": decision.verification_id}
    if decision.verdict == REJECT:
        transition(
            request,
            to=Status.REJECTED,
            event=EventName.REQUEST_REJECT,
            actor=actor,
            client_info=client_info,
            metadata=metadata,
            message=decision.reason,
        )
    elif next_status(flow, request) == Status.GRANTING:
        transition(
            request,
            to=Status.GRANTING,
            event=EventName.REQUEST_APPROVE,
            actor=actor,
            client_info=client_info,
            metadata=metadata,
            pending_until=pending_until(Status.GRANTING, timezone.now()),
        )
    else:
        record(
            event=EventName.REQUEST_APPROVE,
            actor=actor,
            target=request,
            request=request,
            client_info=client_info,
            metadata={**metadata, "needs_more_approvals": True},
        )
