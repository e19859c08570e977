"""Approving and rejecting."""

from typing import Any

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
from requests_app.approvals.invalidation import drop_void_approvals
from requests_app.approvals.review import mark_of
from requests_app.approvals.selectors import rights_of
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.lifecycle import conflict_on, lock_request, pending_until, transition
from requests_app.models import AccessRequest, Decision, Status
from requests_app.policies import clean_reason, has_decided, ineligibility_reason, next_status

APPROVE = Decision.Verdict.APPROVE
REJECT = Decision.Verdict.REJECT


def decide_request(
    *,
    actor: Any,
    request: AccessRequest,
    verdict: Decision.Verdict,
    reason: str,
    fingerprint: str,
    window: Window | None,
    client_info: ClientInfo = SYSTEM,
    shown: str | None = None,
) -> AccessRequest:
    """Put an approver's word on a request, bound to the fingerprint of its flow.

    A page that shows it adds the mark of all that it ``shown``: rights, wishes and evidence, too.

    Raises `WindowClosed` when a protected flow wants the approver's code, `RequestRefused` when the
    person may not decide or the reason is missing, `Conflict` when somebody was first or the ground
    of the request is gone (which cancels it).
    """
    with transaction.atomic():
        lock_state(actor.pk)
        request = lock_request(request.pk)
        drop_void_approvals(request=request)
        flow = _decidable(request, actor)
        if shown is not None and shown != mark_of(request, rights_of(request)):
            fingerprint = ""
        if sentence := ineligibility_reason(request):
            _cancel(request, sentence)
        else:
            _decide(request, flow, actor, verdict, reason, fingerprint, window, client_info)
    if sentence:
        raise Conflict(f"{request.reference} was cancelled. {sentence}")
    return request


def _decidable(request: AccessRequest, actor: Any) -> AccessFlow:
    flow = request.flow
    if flow is None or not can_decide(flow, actor, request.requester, tier=request.escalation_tier):
        raise RequestRefused(
            "You are not an approver of this request, or not any more. Nothing was decided."
        )
    if request.status != Status.PENDING_APPROVAL:
        raise conflict_on(request)
    if request.pending_until is not None and request.pending_until <= timezone.now():
        raise Conflict(
            f"The time to decide on {request.reference} is over, so it lapses. The requester may ask again."
        )
    if has_decided(request.decisions.all(), actor):
        raise Conflict(
            f"You have already approved {request.reference}. It waits for others; nothing is left to do."
        )
    return flow


def _cancel(request: AccessRequest, sentence: str) -> None:
    transition(
        request,
        to=Status.CANCELLED,
        event=EventName.REQUEST_CANCEL,
        actor=None,
        metadata={"reason": sentence},
        message=sentence,
    )


def _decide(
    request: AccessRequest,
    flow: AccessFlow,
    actor: Any,
    verdict: Decision.Verdict,
    reason: str,
    fingerprint: str,
    window: Window | None,
    client_info: ClientInfo,
) -> None:
    if fingerprint != request.flow_fingerprint:
        raise Conflict("The page you decided on is out of date. Read the request again.")
    needed = verdict == REJECT or flow.require_approver_reason
    reason = clean_reason(reason, required=needed)
    evidence = require_evidence(user=actor, window=window) if request.require_mfa else None
    decision = _write(request, actor, verdict, reason, evidence)
    told = {"reason": reason, "verification": decision.verification_id}
    if verdict == REJECT:
        transition(
            request,
            to=Status.REJECTED,
            event=EventName.REQUEST_REJECT,
            actor=actor,
            client_info=client_info,
            metadata=told,
            message=reason,
        )
    elif next_status(flow, request) == Status.GRANTING:
        transition(
            request,
            to=Status.GRANTING,
            event=EventName.REQUEST_APPROVE,
            actor=actor,
            client_info=client_info,
            metadata=told,
            pending_until=pending_until(Status.GRANTING, timezone.now()),
        )
    else:
        record(
            event=EventName.REQUEST_APPROVE,
            actor=actor,
            target=request,
            request=request,
            client_info=client_info,
            metadata={**told, "waits_for_others": True},
        )


def _write(
    request: AccessRequest,
    actor: Any,
    verdict: Decision.Verdict,
    reason: str,
    evidence: Verification | None,
) -> Decision:
    return Decision.objects.create(
        request=request,
        approver=actor,
        approver_label=str(actor),
        verdict=verdict,
        reason=reason,
        fingerprint=request.flow_fingerprint,
        verification=evidence,
    )
