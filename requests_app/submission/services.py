"""Submission of access requests."""

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.flows.fingerprint import compute_fingerprint
from accessflows.models import AccessFlow, FlowTarget
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.exceptions import WindowClosed
from mfa.models import Verification
from mfa.verification.evidence import require_evidence
from mfa.verification.window import Window
from requests_app.exceptions import RequestRefused, SubmissionRefused
from requests_app.lifecycle import evidence_fields, next_escalation, pending_until, sign_request
from requests_app.models import AccessRequest, RequestedTarget, Status, Submission
from requests_app.submission.evaluation import (
    FLOW_UNAVAILABLE,
    Evaluation,
    all_refusals,
    evaluate_all,
)
from requests_app.submission.selection import Selection

if TYPE_CHECKING:
    from apono_portal.users.models import User


def submit_requests(
    *,
    actor: "User",
    selection: Selection,
    window: Window | None,
    client_info: ClientInfo = SYSTEM,
    key: str = "",
) -> list[AccessRequest]:
    """Create a request for each flow of the selection, all or none.

    A request is Pending MFA if its own flow requires MFA and the window is closed, or not enough for
    that flow. An API token has no window: a protected request made with one waits for its owner.
    Everything the requester may not choose comes from that flow as stored now. The same selection sent
    again with the ``key`` of its page leads to the requests it created. Raises
    `RequestRefused` with all that is wrong, each with its form field.
    """
    if not selection.targets:
        raise RequestRefused("Select at least one target.", field="targets")
    parts = selection.per_flow()
    try:
        with transaction.atomic():
            window = None if client_info.token else window
            evidence = _evidence(actor, window)  # locks the requester's MFA state
            submission = _submission(actor, selection, key)
            if submission and (created := list(submission.requests.order_by("pk"))):
                return created
            evaluations = evaluate_all(
                requester=actor,
                selections=parts,
                verification=evidence,
                now=timezone.now(),
                by_agent=client_info.is_agent,
            )
            if refusals := all_refusals(evaluations):
                raise SubmissionRefused(refusals)
            return [
                _create(evaluation, actor, evidence, client_info, submission)
                for evaluation in evaluations
            ]
    except IntegrityError:
        pks = [flow.pk for flow in selection.flows]
        if AccessFlow.objects.filter(pk__in=pks).count() == len(pks):
            raise
        # A flow was deleted during the submission.
        raise RequestRefused(FLOW_UNAVAILABLE, field="flow") from None


def _evidence(actor: "User", window: Window | None) -> Verification | None:
    try:
        return require_evidence(user=actor, window=window)
    except WindowClosed:
        return None


def _submission(actor: "User", selection: Selection, key: str) -> Submission | None:
    """Return the submission under this key. Two at once wait for each other at the MFA state."""
    if not key:
        return None
    submission, _ = Submission.objects.get_or_create(
        user=actor, key=key, digest=selection.content_digest
    )
    return submission


def _create(
    evaluation: Evaluation,
    actor: "User",
    evidence: Verification | None,
    client_info: ClientInfo,
    submission: Submission | None,
) -> AccessRequest:
    now = timezone.now()
    flow, status = evaluation.flow, evaluation.status
    if flow is None or status is None:
        raise SubmissionRefused(evaluation.refusals)
    request = AccessRequest.objects.create(
        requester=actor,
        requester_label=str(actor),
        flow=flow,
        submission=submission,
        duration=evaluation.selection.duration,
        justification=evaluation.justification,
        ticket=evaluation.ticket,
        token_id=client_info.token.id if client_info.token else None,
        token_name=client_info.token.name if client_info.token else "",
        by_agent=client_info.is_agent,
        status=status,
        pending_until=pending_until(status, now),
        escalates_at=next_escalation(flow, status, 0, now),
        **_flow_snapshot(flow, evaluation.flow_targets),
        **evidence_fields(evidence if evaluation.is_covered else None),
    )
    targets = RequestedTarget.objects.bulk_create(
        RequestedTarget.of(request, target) for target in evaluation.targets
    )
    sign_request(request)
    _record(request, targets, actor, client_info)
    return request


def _flow_snapshot(flow: AccessFlow, targets: list[FlowTarget]) -> dict[str, object]:
    return {
        "flow_name": flow.name,
        "flow_version": flow.version,
        "flow_fingerprint": compute_fingerprint(flow, targets),
        "require_mfa": flow.require_mfa,
        "break_glass": flow.break_glass,
        "agents": flow.agents,
        "mfa_strength": flow.mfa_strength,
        "verify_every_request": flow.verify_every_request,
        "approval": flow.approval,
        "approvals_required": flow.approvals_required,
        "max_extensions": flow.max_extensions,
        "extension_duration": flow.extension_duration,
        "max_duration": flow.max_duration,
    }


def _record(
    request: AccessRequest, targets: list[RequestedTarget], actor: "User", client_info: ClientInfo
) -> None:
    record(
        event=EventName.REQUEST_SUBMIT,
        actor=actor,
        target=request,
        request=request,
        client_info=client_info,
        metadata={
            "flow": request.flow_name,
            "flow_version": request.flow_version,
            "targets": [str(target) for target in targets],
            "duration_s": int(request.duration.total_seconds()),
            "require_mfa": request.require_mfa,
            "mfa_strength": request.mfa_strength,
            "justification": request.justification,
            "ticket": request.ticket,
            "verification": request.verification_id,
        },
    )
    if request.status == Status.PENDING_MFA:
        record(
            event=EventName.REQUEST_AWAIT_MFA,
            actor=actor,
            target=request,
            request=request,
            client_info=client_info,
            metadata={"until": request.pending_until},
        )
