"""Invalidated approvals: the approver's MFA was reset after the approval."""

from typing import TYPE_CHECKING

from django.db.models import QuerySet
from django.utils import timezone

from audit.events import EventName
from audit.services import record
from requests_app.evidence_checks import record_tampering
from requests_app.lifecycle import next_escalation, pending_until, transition
from requests_app.models import AccessRequest, Decision, Status
from requests_app.policies import TAMPERING, void_reason

if TYPE_CHECKING:
    from apono_portal.users.models import User


def remove_voided_approvals(*, request: AccessRequest) -> list[str]:
    """Delete the approvals that no longer count, and return the labels of their approvers.

    The approvers may decide again; what they decided stays in the audit log. Call it inside a
    transaction that locks the request. Approvals by deleted users stay: they count for nothing.
    """
    approvals = request.decisions.filter(verdict=Decision.Verdict.APPROVE).exclude(approver=None)
    void = {
        decision: reason
        for decision in approvals.select_related("verification")
        if (reason := void_reason(request, decision))
    }
    for decision, reason in void.items():
        record(
            event=EventName.REQUEST_VOID_APPROVAL,
            actor=None,
            target=request,
            request=request,
            metadata={
                "approver": decision.approver_label,
                "approved_at": decision.at,
                "verification": decision.verification_id,
                "reason": reason,
            },
        )
        if reason in TAMPERING:
            record_tampering(request=request, reason=reason, target=decision)
    Decision.objects.filter(pk__in=[decision.pk for decision in void]).delete()
    return [decision.approver_label for decision in void]


def requests_decided_by(user: "User") -> QuerySet[AccessRequest]:
    """Return protected requests that still wait for approval and that this user has decided on."""
    return AccessRequest.objects.filter(
        status=Status.PENDING_APPROVAL, require_mfa=True, decisions__approver=user
    )


def reopen_request(*, request: AccessRequest, voided: list[str]) -> AccessRequest:
    """Return a request whose approval was voided to Pending Approval."""
    now, to = timezone.now(), Status.PENDING_APPROVAL
    tier = request.escalation_tier
    sentence = f"The approval by {', '.join(voided)} is void: their MFA was reset."
    return transition(
        request,
        to=to,
        event=EventName.REQUEST_REOPEN,
        actor=None,
        metadata={"reason": sentence},
        message=sentence[:500],
        pending_until=pending_until(to, now),
        escalates_at=next_escalation(request.flow, to, tier, now) if request.flow else None,
    )
