"""Approvals whose MFA is not true any more: whoever gave one had their MFA reset since."""

from typing import Any

from django.utils import timezone

from audit.events import EventName
from audit.services import record
from requests_app.lifecycle import lock_request, pending_until, transition
from requests_app.models import AccessRequest, Decision, Status
from requests_app.policies import decision_stands, next_escalation

APPROVE = Decision.Verdict.APPROVE


def drop_void_approvals(*, request: AccessRequest) -> list[str]:
    """Take back the approvals that do not stand, and return who gave them.

    Their approvers may decide again. What they had said stays on the record. Inside a transaction
    that locks the request. The word of somebody who was deleted is left: it counts for nothing.
    """
    given = request.decisions.filter(verdict=APPROVE).exclude(approver=None)
    void = [d for d in given.select_related("verification") if not decision_stands(request, d)]
    for decision in void:
        record(
            event=EventName.REQUEST_VOID_APPROVAL,
            actor=None,
            target=request,
            request=request,
            metadata={
                "approver": decision.approver_label,
                "approved_at": decision.at,
                "verification": decision.verification_id,
                "reason": "The MFA it was given with was reset.",
            },
        )
    Decision.objects.filter(pk__in=[decision.pk for decision in void]).delete()
    return [decision.approver_label for decision in void]


def drop_void_approvals_of(*, user: Any) -> None:
    """Take back what a person approved of requests that still wait, right after a reset.

    Inside the transaction of the reset, which holds the person's MFA state.
    """
    waiting = AccessRequest.objects.filter(
        status=Status.PENDING_APPROVAL, require_mfa=True, decisions__approver=user
    )
    for pk in waiting.order_by("pk").values_list("pk", flat=True):
        drop_void_approvals(request=lock_request(pk))


def reopen_request(*, request: AccessRequest, voided: list[str]) -> AccessRequest:
    """Have a request whose approval was voided wait for approval again."""
    now, to = timezone.now(), Status.PENDING_APPROVAL
    tier = request.escalation_tier
    sentence = f"The MFA of {', '.join(voided)} was reset after the approval, which is void."
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
