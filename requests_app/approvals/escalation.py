"""Escalation: a further group may decide when nobody has decided in time."""

from datetime import datetime

from django.db import transaction

from accessflows.models import EscalationTier
from audit.events import EventName
from audit.services import record
from requests_app.lifecycle import cancel_ineligible, take_batch
from requests_app.models import AccessRequest, Status
from requests_app.policies import ineligibility_reason


def escalate_due(*, now: datetime) -> int:
    """Escalate a batch of the requests whose wait is over, and return how many there were.

    Requests that are no longer eligible are cancelled instead.
    """
    due = AccessRequest.objects.to_escalate(now)
    if not due.exists():
        return 0
    with transaction.atomic():
        requests = list(take_batch(due.order_by("escalates_at")))
        for request in requests:
            if sentence := ineligibility_reason(request):
                cancel_ineligible(request, sentence)
            else:
                _escalate(request, now)
    return len(requests)


def _escalate(request: AccessRequest, now: datetime) -> None:
    tiers = EscalationTier.objects.filter(
        flow=request.flow_id, position__gt=request.escalation_tier
    ).select_related("group")
    first, second = [*tiers[:2], None, None][:2]
    request.escalates_at = now + second.wait if second else None
    if first is None:
        AccessRequest.objects.filter(pk=request.pk).update(escalates_at=None)
        return
    request.escalation_tier = first.position
    pending = AccessRequest.objects.filter(pk=request.pk, status=Status.PENDING_APPROVAL)
    pending.update(escalation_tier=first.position, escalates_at=request.escalates_at)
    record(
        event=EventName.REQUEST_ESCALATE,
        actor=None,
        target=request,
        request=request,
        metadata={
            "tier": first.position,
            "group": first.group.name,
            "waited_s": int(first.wait.total_seconds()),
            "until": request.pending_until,
        },
    )
