"""From the permission to go on to access that is open."""

from django.db import transaction
from django.utils import timezone

from accessflows.connectors.protocol import Activation
from audit.events import EventName
from audit.services import record
from mfa.models import MfaState
from mfa.verification.policies import evidence_holds
from requests_app.approvals.invalidation import drop_void_approvals, reopen_request
from requests_app.grants.records import FREE, mark_revoking, reopen_for_cleanup, save_identity
from requests_app.lifecycle import lock_request, lock_with_state, pending_until, transition
from requests_app.models import AccessRequest, Grant, GrantState, Status
from requests_app.policies import (
    approval_gap,
    evidence_fields,
    ineligibility_reason,
    when_to_remind,
)


def begin_activation(*, request_pk: int) -> AccessRequest:
    """Check once more all that the permission stands on, then write the intent: the grant rows.

    Their deadline is written here, before anything is done on a target, and never moves: recovery
    goes on with what it finds. A request whose ground is gone is cancelled, one whose evidence was
    voided is pending_mfa again, one of which an approval was voided waits for approval again. Does
    nothing to a request that is further on already.
    """
    with transaction.atomic():
        request, state = lock_with_state(request_pk)
        if request.status != Status.GRANTING or request.grants.exists():
            return request
        if request.pending_until is not None and request.pending_until <= timezone.now():
            return _fail(request, "Access could not be opened in time. Ask again.")
        if sentence := ineligibility_reason(request):
            return _cancel(request, sentence)
        voided = drop_void_approvals(request=request)
        if sentence := approval_gap(request):
            if voided:
                return reopen_request(request=request, voided=voided)
            return _cancel(request, sentence)
        if _why_evidence_is_void(request, state):
            return _park_again(request)
        _write_intent(request)
    return request


def confirm_activation(*, grant: Grant) -> bool:
    """Check, right before the target is asked, that the permission still stands; else give it up.

    Between the intent and the call a reset may have voided the evidence. On a later try, which may
    come minutes after the intent, all the rest is checked again, too.
    """
    with transaction.atomic():
        request, state = lock_with_state(grant.request_id)
        if request.status != Status.GRANTING:
            return False
        sentence = _why_mfa_is_void(request, state)
        if not sentence and grant.attempts:
            sentence = ineligibility_reason(request) or approval_gap(request)
        if sentence:
            _fail(request, sentence)
    return not sentence


def record_activation(*, grant: Grant, lease: str, activation: Activation) -> bool:
    """Note what was made. With the last grant of a request the request becomes active.

    False if the grant was no longer to be activated, as when it was ended or its evidence voided
    while the target was asked; what was made is noted all the same and goes the way of ending.
    """
    with transaction.atomic():
        request, state = lock_with_state(grant.request_id)
        save_identity(grant, activation.identity)
        sentence = _why_mfa_is_void(request, state)
        if sentence and request.status == Status.GRANTING:
            _fail(request, sentence)
        now = timezone.now()
        done = Grant.objects.filter(
            pk=grant.pk, state=GrantState.ACTIVATING, lease_by=lease
        ).update(
            state=GrantState.ACTIVE,
            activated_at=now,
            enforced_until=activation.valid_until,
            **FREE,
        )
        if not done:
            reopen_for_cleanup(grant, lease)
            return False
        record(
            event=EventName.GRANT_ACTIVATE,
            actor=None,
            target=grant,
            request=request,
            metadata={
                "integration": grant.integration_name,
                "resource": grant.resource,
                "permission": grant.permission,
                "login": activation.identity.role_name,
                "until": activation.valid_until,
                "clock_skew_s": activation.clock_skew.total_seconds(),
            },
        )
        _open_when_complete(request)
    return True


def fail_activation(*, grant: Grant, sentence: str) -> None:
    """Give the request up, with the reason. Whatever was made of it is ended."""
    with transaction.atomic():
        request = lock_request(grant.request_id)
        if request.status == Status.GRANTING:
            _fail(request, sentence)


def _fail(request: AccessRequest, sentence: str) -> AccessRequest:
    transition(
        request,
        to=Status.FAILED,
        event=EventName.REQUEST_FAIL,
        actor=None,
        metadata={"reason": sentence},
        message=sentence[:500],
        ended_at=timezone.now(),
    )
    mark_revoking([request])
    return request


def _open_when_complete(request: AccessRequest) -> None:
    grants = list(request.grants.all())
    if request.status != Status.GRANTING or any(g.state != GrantState.ACTIVE for g in grants):
        return
    starts_at, ends_at = timezone.now(), min(grant.deadline for grant in grants)
    transition(
        request,
        to=Status.ACTIVE,
        event=EventName.REQUEST_ACTIVATE,
        actor=None,
        metadata={"until": ends_at},
        starts_at=starts_at,
        ends_at=ends_at,
        remind_at=when_to_remind(starts_at, ends_at),
        pending_until=None,
        message="",
    )


def _why_mfa_is_void(request: AccessRequest, state: MfaState | None) -> str:
    """The requester's evidence, and that of the approvals, between the intent and the open door."""
    if sentence := _why_evidence_is_void(request, state):
        return sentence
    if request.require_mfa and approval_gap(request):
        return "The MFA its approval stood on was reset before access was opened. Ask again."
    return ""


def _why_evidence_is_void(request: AccessRequest, state: MfaState | None) -> str:
    """Under the lock of the requester's MFA state."""
    if not request.require_mfa:
        return ""
    if state is not None and evidence_holds(verification=request.verification, state=state):
        return ""
    return "The MFA this request stood on was reset before access was opened. Ask again."


def _cancel(request: AccessRequest, sentence: str) -> AccessRequest:
    return transition(
        request,
        to=Status.CANCELLED,
        event=EventName.REQUEST_CANCEL,
        actor=None,
        metadata={"reason": sentence},
        message=sentence,
        ended_at=timezone.now(),
    )


def _park_again(request: AccessRequest) -> AccessRequest:
    return transition(
        request,
        to=Status.PENDING_MFA,
        event=EventName.REQUEST_AWAIT_MFA,
        actor=None,
        metadata={"reason": "The MFA this request stood on was reset."},
        message="The MFA this request stood on was reset. It waits for a new code.",
        pending_until=pending_until(Status.PENDING_MFA, timezone.now()),
        **evidence_fields(None),
    )


def _write_intent(request: AccessRequest) -> None:
    deadline = timezone.now() + request.duration
    Grant.objects.bulk_create(
        Grant(
            request=request,
            integration=target.integration,
            integration_name=target.integration_name,
            resource=target.resource,
            permission=target.permission,
            state=GrantState.ACTIVATING,
            deadline=deadline,
        )
        for target in request.targets.select_related("integration")
    )
    record(
        event=EventName.REQUEST_GRANT,
        actor=None,
        target=request,
        request=request,
        metadata={"deadline": deadline, "verification": request.verification_id},
    )
