"""Asking for access."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.models import AccessFlow, FlowTarget
from accessflows.policies import may_request
from accessflows.selectors import targets_of
from audit.events import EventName
from audit.origin import SYSTEM, Origin
from audit.services import record
from mfa.exceptions import WindowClosed
from mfa.models import Verification
from mfa.services import lock_state, require_evidence
from mfa.window import Window
from requests_app.exceptions import RequestRefused
from requests_app.lifecycle import pending_until
from requests_app.models import AccessRequest, RequestedTarget, Status
from requests_app.policies import (
    check_duration,
    clean_justification,
    current_fingerprint,
    evidence_fields,
    next_status,
)

FLOW_GONE = "This access flow cannot be used any more, or not by you. Choose another."


def submit_request(
    *,
    actor: Any,
    flow: AccessFlow,
    target_ids: Collection[int],
    duration: timedelta,
    justification: str,
    window: Window | None,
    origin: Origin = SYSTEM,
) -> AccessRequest:
    """Make a request, parked as Pending MFA when the flow asks for MFA and the window is closed.

    Everything but what the person may choose is taken from the flow as stored now. Raises
    `RequestRefused`, naming the form field.
    """
    try:
        return _submit(actor, flow, target_ids, duration, justification, window, origin)
    except IntegrityError:
        if AccessFlow.objects.filter(pk=flow.pk).exists():
            raise
        raise RequestRefused(FLOW_GONE, field="flow") from None  # deleted while this was written


def _submit(
    actor: Any,
    flow: AccessFlow,
    target_ids: Collection[int],
    duration: timedelta,
    justification: str,
    window: Window | None,
    origin: Origin,
) -> AccessRequest:
    with transaction.atomic():
        lock_state(actor.pk)
        flow = _requestable(flow, actor)
        targets = _chosen(flow, target_ids)
        check_duration(duration, flow)
        said = clean_justification(justification, required=flow.require_justification)
        evidence = _evidence(flow, actor, window)
        parked = flow.require_mfa and evidence is None
        status = Status.PENDING_MFA if parked else next_status(flow)
        request = AccessRequest.objects.create(
            requester=actor,
            requester_label=str(actor),
            flow=flow,
            duration=duration,
            justification=said,
            status=status,
            pending_until=pending_until(status, timezone.now()),
            **_terms(flow),
            **evidence_fields(evidence),
        )
        RequestedTarget.objects.bulk_create(RequestedTarget.of(request, each) for each in targets)
        _record(request, targets, actor, origin)
    return request


def _requestable(flow: AccessFlow, actor: Any) -> AccessFlow:
    person = get_user_model()._default_manager.filter(pk=actor.pk, is_active=True).first()
    stored = AccessFlow.objects.filter(pk=flow.pk).first()
    if person is None or stored is None or not may_request(stored, person):
        raise RequestRefused(FLOW_GONE, field="flow")
    available = stored.availability
    now = timezone.now()
    if available is not None and not available.holds_at(now):
        opens = available.next_opening(now)
        raise RequestRefused(
            f"{stored.name} can be requested {available}. It opens next on "
            f"{opens:%A %-d %B at %H:%M} there.",
            field="flow",
        )
    return stored


def _chosen(flow: AccessFlow, target_ids: Collection[int]) -> list[FlowTarget]:
    wanted = set(target_ids)
    if not wanted:
        raise RequestRefused(f"Choose what you need of {flow.name}.", field="targets")
    found = [target for target in targets_of(flow) if target.pk in wanted]
    if len(found) != len(wanted):
        raise RequestRefused(
            f"Not everything you chose is given by {flow.name} now. Choose again.", field="targets"
        )
    return found


def _evidence(flow: AccessFlow, actor: Any, window: Window | None) -> Verification | None:
    if not flow.require_mfa:
        return None
    try:
        return require_evidence(user=actor, window=window)
    except WindowClosed:
        return None


def _terms(flow: AccessFlow) -> dict[str, Any]:
    return {
        "flow_name": flow.name,
        "flow_version": flow.version,
        "flow_fingerprint": current_fingerprint(flow),
        "require_mfa": flow.require_mfa,
        "approval": flow.approval,
        "max_duration": flow.max_duration,
    }


def _record(request: AccessRequest, targets: list[FlowTarget], actor: Any, origin: Origin) -> None:
    told = {
        "flow": request.flow_name,
        "flow_version": request.flow_version,
        "targets": [str(RequestedTarget.of(request, target)) for target in targets],
        "duration_s": int(request.duration.total_seconds()),
        "require_mfa": request.require_mfa,
        "justification": request.justification,
        "verification": request.verification_id,
    }
    record(
        event=EventName.REQUEST_SUBMIT,
        actor=actor,
        target=request,
        request=request,
        origin=origin,
        metadata=told,
    )
    if request.status == Status.PENDING_MFA:
        record(
            event=EventName.REQUEST_PARK,
            actor=actor,
            target=request,
            request=request,
            origin=origin,
            metadata={"until": request.pending_until},
        )
