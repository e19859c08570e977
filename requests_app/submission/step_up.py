"""Entering a code, and what that releases."""

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apono_portal.core.db.prepared import prepared
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from mfa.enrolment.recovery_codes import verify_recovery_code
from mfa.models import Verification
from mfa.verification.attempts import VerificationResult
from mfa.verification.services import verify_code
from mfa.verification.throttle_scope import ThrottleScope
from requests_app.lifecycle import (
    evidence_fields,
    lock_request,
    next_escalation,
    next_status,
    pending_until,
    transition,
)
from requests_app.models import AccessRequest, Status
from requests_app.policies import ineligibility_reason


def step_up(
    *,
    user: Any,
    code: str,
    scope: ThrottleScope,
    client_info: ClientInfo = SYSTEM,
    recovery: bool = False,
    leave_out: Collection[int] = (),
    shown: Collection[int] | None = None,
) -> tuple[VerificationResult, list[AccessRequest]]:
    """Verify a code and, if it is right, release the person's pending_mfa requests.

    All but those whose numbers are in ``leave_out``, which stay pending_mfa. A page that lists them adds
    which it has ``shown``: what was pending_mfa since, maybe by somebody with a stolen password, stays
    pending_mfa, too. With ``recovery`` it is a recovery code. One transaction: there is no verification
    without its releases. A wrong code is an outcome, not an exception, so that its count is kept.
    """
    released: list[AccessRequest] = []

    def release(verification: Verification) -> dict[str, Any]:
        released.extend(_release_all(user, verification, client_info, leave_out, shown))
        return {"requests": [request.reference for request in released]} | _left(user, leave_out)

    verify = verify_recovery_code if recovery else verify_code
    with transaction.atomic():
        result = verify(user=user, code=code, scope=scope, client_info=client_info, release=release)
    return result, released


@prepared(int)
def _parked(user_id: int) -> QuerySet[Any, Any]:
    own = AccessRequest.objects.filter(requester=user_id)
    return own.pending_mfa().order_by("pk").values_list("pk", flat=True)


def _release_all(
    user: Any,
    verification: Verification,
    client_info: ClientInfo,
    leave_out: Collection[int],
    shown: Collection[int] | None,
) -> list[AccessRequest]:
    """Send the person's pending_mfa requests on; cancel, with the reason, those whose ground is gone.

    Under the lock of the person's MFA state. Returns the released ones.
    """
    wanted = [pk for pk in _parked(user.pk) if pk not in leave_out]
    requests = [lock_request(pk) for pk in wanted if shown is None or pk in shown]
    return [
        request
        for request in requests
        if request.status == Status.PENDING_MFA
        and _release(request, user, verification, client_info)
    ]


def _left(user: Any, leave_out: Collection[int]) -> dict[str, Any]:
    """For the record: what its owner left out and so is still pending_mfa."""
    if not leave_out:
        return {}
    left = AccessRequest.objects.of(user).pending_mfa().filter(pk__in=leave_out).order_by("pk")
    names = [request.reference for request in left]
    return {"left_out": names} if names else {}


def _release(
    request: AccessRequest, user: Any, verification: Verification, client_info: ClientInfo
) -> bool:
    now = timezone.now()
    if request.pending_until is not None and request.pending_until <= now:
        transition(
            request,
            to=Status.LAPSED,
            event=EventName.REQUEST_LAPSE,
            actor=None,
            message="No code was entered in time.",
        )
        return False
    if sentence := ineligibility_reason(request):
        transition(
            request,
            to=Status.CANCELLED,
            event=EventName.REQUEST_CANCEL,
            actor=None,
            metadata={"reason": sentence},
            message=sentence,
        )
        return False
    to = next_status(request.flow, request)
    tier = request.escalation_tier
    escalates_at = next_escalation(request.flow, to, tier, now) if request.flow else None
    transition(
        request,
        to=to,
        event=EventName.REQUEST_RELEASE,
        actor=user,
        client_info=client_info,
        metadata={"verification": verification.pk, "with": verification.device_name},
        pending_until=pending_until(to, now),
        escalates_at=escalates_at,
        message="",
        **evidence_fields(verification),
    )
    return True
