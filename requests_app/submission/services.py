"""RequestDraft for access."""

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.models import AccessFlow, FlowTarget
from apono_portal.core.db.prepared import insert
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.exceptions import WindowClosed
from mfa.models import Verification
from mfa.verification.evidence import require_evidence
from mfa.verification.window import Window
from requests_app.exceptions import RequestRefused
from requests_app.lifecycle import pending_until
from requests_app.models import AccessRequest, RequestedTarget, Status
from requests_app.policies import current_fingerprint, evidence_fields, next_escalation
from requests_app.submission.evaluation import FLOW_GONE, RequestDraft, Words, evaluate


def submit_requests(
    *,
    actor: Any,
    drafts: Sequence[RequestDraft],
    words: Words,
    window: Window | None,
    client_info: ClientInfo = SYSTEM,
) -> list[AccessRequest]:
    """Make a request for each flow asked through, all or none.

    Each is pending_mfa as Pending MFA when its own flow asks for MFA and the window is closed. Everything
    but what the person may choose is taken from that flow as stored now. Raises `RequestRefused`,
    naming the form field.
    """
    if len({draft.flow.pk for draft in drafts}) != len(drafts):
        raise RequestRefused("Ask once for all you need of an access flow.", field="targets")
    try:
        with transaction.atomic():
            evidence = _evidence(actor, window)  # takes the lock of the person's MFA
            return [_make(draft, words, actor, evidence, client_info) for draft in drafts]
    except IntegrityError:
        pks = {draft.flow.pk for draft in drafts}
        if AccessFlow.objects.filter(pk__in=pks).count() == len(pks):
            raise
        raise RequestRefused(FLOW_GONE, field="flow") from None  # deleted while this was written


def _make(
    draft: RequestDraft,
    words: Words,
    actor: Any,
    evidence: Verification | None,
    client_info: ClientInfo,
) -> AccessRequest:
    verified, now = evidence is not None, timezone.now()
    evaluation = evaluate(person=actor, draft=draft, verified=verified, words=words, now=now)
    flow, status = evaluation.flow, evaluation.status
    if flow is None or status is None:
        raise evaluation.refusals[0]
    request = AccessRequest(
        requester=actor,
        requester_label=str(actor),
        flow=flow,
        duration=draft.duration,
        justification=evaluation.words.justification,
        ticket=evaluation.words.ticket,
        status=status,
        pending_until=pending_until(status, now),
        escalates_at=next_escalation(flow, status, 0, now),
        **_terms(flow, evaluation.named),
        **evidence_fields(evidence if flow.require_mfa else None),
    )
    insert(request)
    for each in evaluation.targets:
        insert(RequestedTarget.of(request, each))
    _record(request, evaluation.targets, actor, client_info)
    return request


def _evidence(actor: Any, window: Window | None) -> Verification | None:
    try:
        return require_evidence(user=actor, window=window)
    except WindowClosed:
        return None


def _terms(flow: AccessFlow, named: list[FlowTarget]) -> dict[str, Any]:
    return {
        "flow_name": flow.name,
        "flow_version": flow.version,
        "flow_fingerprint": current_fingerprint(flow, named),
        "require_mfa": flow.require_mfa,
        "approval": flow.approval,
        "approvals_required": flow.approvals_required,
        "max_extensions": flow.max_extensions,
        "extension_duration": flow.extension_duration,
        "max_duration": flow.max_duration,
    }


def _record(
    request: AccessRequest, targets: list[FlowTarget], actor: Any, client_info: ClientInfo
) -> None:
    told = {
        "flow": request.flow_name,
        "flow_version": request.flow_version,
        "targets": [str(RequestedTarget.of(request, target)) for target in targets],
        "duration_s": int(request.duration.total_seconds()),
        "require_mfa": request.require_mfa,
        "justification": request.justification,
        "ticket": request.ticket,
        "verification": request.verification_id,
    }
    record(
        event=EventName.REQUEST_SUBMIT,
        actor=actor,
        target=request,
        request=request,
        client_info=client_info,
        metadata=told,
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
