"""Activation: from an approved request to active access."""

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accessflows.connectors.protocol import Activation, PermissionState
from apono_portal.core.web.client import SYSTEM
from audit.events import EventName
from audit.services import record
from mfa.models import MfaState
from mfa.verification.policies import is_evidence_valid
from requests_app.approvals.invalidation import remove_voided_approvals, reopen_request
from requests_app.evidence_checks import record_tampering
from requests_app.grants.limits import limit_refusal, lock_limits
from requests_app.grants.records import RELEASED, mark_revoking, reopen_for_cleanup, save_identity
from requests_app.grants.reminders import reminder_time
from requests_app.grants.revocation import revoke_or_cancel_all
from requests_app.lifecycle import (
    cancel_ineligible,
    evidence_fields,
    lock_request,
    lock_with_state,
    pending_until,
    transition,
)
from requests_app.models import AccessRequest, Grant, GrantState, RequestedTarget, Status
from requests_app.policies import (
    GRANT_NOT_AUTHENTIC,
    NOT_AUTHENTIC,
    approval_gap,
    grants_gap,
    ineligibility_reason,
)

VERIFY_AGAIN = "MFA was reset or changed after this request was verified."
NOT_IN_TIME = "Access could not be provisioned in time. Request access again."


def begin_activation(*, request_pk: int) -> AccessRequest:
    """Check that the request may still be granted, and write its grants with their deadline.

    The deadline is set before anything exists on a target, and retries keep it. A request that is no
    longer eligible is cancelled; voided evidence returns it to Pending MFA, a voided approval to
    Pending Approval. Does nothing to a request that is further along.
    """
    with transaction.atomic():
        request, state = lock_with_state(request_pk)
        if request.status != Status.GRANTING or request.grants.exists():
            return request
        if request.pending_until is not None and request.pending_until <= timezone.now():
            return _fail(request, NOT_IN_TIME)
        if sentence := ineligibility_reason(request):
            return cancel_ineligible(request, sentence)
        voided = remove_voided_approvals(request=request)
        if sentence := approval_gap(request):
            if voided:
                return reopen_request(request=request, voided=voided)
            return cancel_ineligible(request, sentence)
        if _evidence_gap(request, state):
            return _await_mfa_again(request)
        targets = list(request.targets.select_related("integration"))
        integrations = [target.integration for target in targets if target.integration]
        lock_limits(integrations)
        if request.requester and (sentence := limit_refusal(request.requester, integrations)):
            return _fail(request, sentence)
        _create_grants(request, targets)
    return request


def confirm_activation(*, grant: Grant) -> bool:
    """Check, right before every attempt on the target, that the request may still be granted.

    If not, the request fails.
    """
    with transaction.atomic():
        request, state = lock_with_state(grant.request_id)
        if request.status != Status.GRANTING:
            _revoke_stray(grant, request)
            return False
        sentence = (
            grants_gap([grant])
            or _mfa_gap(request, state)
            or ineligibility_reason(request)
            or approval_gap(request)
        )
        if sentence:
            _fail(request, sentence)
    return not sentence


def record_activation(*, grant: Grant, lease: str, activation: Activation) -> bool:
    """Record an activated login. With the last grant of a request the request becomes active.

    Return False if the grant was revoked or its evidence voided during the call. The login is
    recorded all the same, and removed.
    """
    with transaction.atomic():
        request, state = lock_with_state(grant.request_id)
        save_identity(grant, activation.identity)
        now = timezone.now()
        sentence = _mfa_gap(request, state) or (NOT_IN_TIME if grant.deadline <= now else "")
        if request.status != Status.GRANTING:
            _revoke_stray(grant, request)
        elif sentence:
            _fail(request, sentence)
        activated = Grant.objects.filter(
            pk=grant.pk, state=GrantState.ACTIVATING, lease_by=lease, deadline__gt=now
        ).update(
            state=GrantState.ACTIVE,
            activated_at=now,
            enforced_until=activation.valid_until,
            permission_state=_state_before(grant, request, activation.permission_state),
            **RELEASED,
        )
        if not activated:
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
                "login": activation.identity.name,
                "until": activation.valid_until,
                "clock_skew_s": activation.clock_skew.total_seconds(),
            },
        )
        _activate_when_complete(request)
    return True


def _state_before(grant: Grant, request: AccessRequest, state: PermissionState) -> list[str]:
    """Return the keys of what the permission's role had given to others by itself.

    Whatever was added since another grant of the same roles was activated may come from its grantee, so it
    is undone with this grant as well. That includes grants removed since this activation began: the target
    was read before they were. Their own states are stored before anybody can use them.
    """
    if not state.entries:
        return state.keys
    began_at = grant.deadline - request.duration
    others = Grant.objects.filter(
        ~Q(state=GrantState.REMOVED) | Q(removed_at__gt=began_at),
        integration=grant.integration_id,
    ).exclude(pk=grant.pk)
    states = others.order_by().values_list("permission_state", flat=True).distinct()
    return state.keys_unchanged_since(before for before in states if before is not None)


def fail_activation(*, grant: Grant, sentence: str) -> None:
    """Fail the request and remove what exists of it."""
    with transaction.atomic():
        request = lock_request(grant.request_id)
        if request.status == Status.GRANTING:
            _fail(request, sentence)
        else:
            _revoke_stray(grant, request)


def _revoke_stray(grant: Grant, request: AccessRequest) -> None:
    """Revoke a grant still activating although its request is not, together with the request.

    Both change in one transaction, so somebody wrote to the database. Left as it is, the grant would be
    leased again at once, for ever, and no other one of its integration would be activated.
    """
    if not Grant.objects.filter(pk=grant.pk, state=GrantState.ACTIVATING).exists():
        return
    status = request.status
    revoke_or_cancel_all(
        requests=[request], actor=None, client_info=SYSTEM, reason=GRANT_NOT_AUTHENTIC
    )
    mark_revoking([request])
    if request.status == status:  # else recorded with the transition
        record_tampering(request=request, reason=GRANT_NOT_AUTHENTIC, target=grant)


def _fail(request: AccessRequest, sentence: str) -> AccessRequest:
    transition(
        request,
        to=Status.FAILED,
        event=EventName.REQUEST_FAIL,
        actor=None,
        metadata={"reason": sentence},
        message=sentence[:500],
    )
    mark_revoking([request])
    return request


def _activate_when_complete(request: AccessRequest) -> None:
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
        remind_at=reminder_time(starts_at, ends_at),
        pending_until=None,
        message="",
    )


def _mfa_gap(request: AccessRequest, state: MfaState | None) -> str:
    """Return why the MFA evidence of requester or approvers no longer holds, or ""."""
    if not request.is_authentic:
        return NOT_AUTHENTIC
    if sentence := _evidence_gap(request, state):
        return sentence
    if request.require_mfa and approval_gap(request):
        return "An approver's MFA was reset before access was active. Request access again."
    return ""


def _evidence_gap(request: AccessRequest, state: MfaState | None) -> str:
    """Return why the requester's evidence no longer holds, or "". Needs the lock on ``state``."""
    if not request.require_mfa:
        return ""
    if state is not None and is_evidence_valid(
        verification=request.verification, state=state, requirement=request.mfa_requirement()
    ):
        return ""
    return "MFA was reset or changed before access was active. Request access again."


def _await_mfa_again(request: AccessRequest) -> AccessRequest:
    return transition(
        request,
        to=Status.PENDING_MFA,
        event=EventName.REQUEST_AWAIT_MFA,
        actor=None,
        metadata={"reason": VERIFY_AGAIN},
        message=f"{VERIFY_AGAIN} Verify again to continue.",
        pending_until=pending_until(Status.PENDING_MFA, timezone.now()),
        **evidence_fields(None),
    )


def _create_grants(request: AccessRequest, targets: list[RequestedTarget]) -> None:
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
        ).sign()
        for target in targets
    )
    record(
        event=EventName.REQUEST_GRANT,
        actor=None,
        target=request,
        request=request,
        metadata={"deadline": deadline, "verification": request.verification_id},
    )
    if request.break_glass:
        record(
            event=EventName.REQUEST_BREAK_GLASS,
            actor=None,
            target=request,
            request=request,
            metadata={"flow": request.flow_name, "reason": request.justification},
        )
