"""Verifying, at step-up or when MFA is set up, and releasing the user's pending requests."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import BigIntegerField
from django.utils import timezone

from apono_portal.core.db.compiled_query import CompiledQuery
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from mfa.enrolment.recovery_codes import verify_recovery_code
from mfa.enrolment.services import SetUpResult, confirm_set_up
from mfa.exceptions import WindowClosed
from mfa.models import Verification
from mfa.passkeys.verification import verify_passkey
from mfa.verification.attempts import VerificationResult, record_success
from mfa.verification.services import verify_code
from mfa.verification.strength import claim
from mfa.verification.throttle_scope import ThrottleScope
from mfa.verification.window import Window
from requests_app.lifecycle import (
    cancel_ineligible,
    evidence_fields,
    lapse_all,
    next_escalation,
    next_status,
    pending_until,
    transition,
)
from requests_app.models import AccessRequest
from requests_app.policies import ineligibility_reason

if TYPE_CHECKING:
    from apono_portal.users.models import User


_locked_pending_requests = CompiledQuery(
    lambda user_id: (
        AccessRequest.objects.select_for_update().of(user_id).pending_mfa().order_by("pk")
    ),
    BigIntegerField(),
)


def step_up(
    *,
    user: "User",
    scope: ThrottleScope,
    code: str = "",
    passkey: str = "",
    client_info: ClientInfo = SYSTEM,
    recovery: bool = False,
    leave_out: Collection[int] = (),
    shown: Collection[int] | None = None,
) -> tuple[VerificationResult, list[AccessRequest]]:
    """Verify a code, or the answer of a ``passkey``, and release the user's pending requests.

    Those in ``leave_out`` stay pending, and those whose flow demands more. A page that lists them says
    which it has ``shown``: a later request, maybe made by someone with a stolen password, stays pending
    too, as does one made with an API token unless the page has shown it. One transaction: there is no
    verification without its releases. A wrong code is an outcome, not an exception, so that it is never
    rolled back.
    """
    with transaction.atomic():
        result = _verify(user, scope, client_info, code=code, passkey=passkey, recovery=recovery)
        if not result.ok:
            return result, []
        return result, _release_pending(result, leave_out, shown)


def set_up_mfa(
    *,
    user: "User",
    device_id: int | None,
    code: str,
    name: str = "",
    window: Window | None = None,
    client_info: ClientInfo = SYSTEM,
    leave_out: Collection[int] = (),
    shown: Collection[int] = (),
) -> tuple[SetUpResult, list[AccessRequest]]:
    """Confirm an authenticator; the code that turns MFA on releases what the page has ``shown``.

    One transaction, as `step_up`. Raises as `confirm_set_up` does.
    """
    with transaction.atomic():
        result = confirm_set_up(
            user=user,
            device_id=device_id,
            code=code,
            name=name,
            window=window,
            client_info=client_info,
        )
        if result.success is None:
            return result, []
        return result, _release_pending(result.success, leave_out, shown)


def _release_pending(
    result: VerificationResult, leave_out: Collection[int], shown: Collection[int] | None
) -> list[AccessRequest]:
    """Release the pending requests with a success and record both."""
    user, client_info = result.attempt.user, result.attempt.client_info
    pending = _locked_pending_requests(user.pk)
    released = [
        request
        for request in pending
        if request.pk not in leave_out
        and _was_shown(request, shown)
        and _release(request, user, result.verification, client_info)
    ]
    metadata = {"requests": [request.reference for request in released]}
    if left_out := [request.reference for request in pending if request.pk in leave_out]:
        metadata["left_out"] = left_out
    record_success(result, **metadata)
    return released


def _was_shown(request: AccessRequest, shown: Collection[int] | None) -> bool:
    """Return whether the user saw the request; where no list was sent, only a token's was not seen."""
    return request.token_id is None if shown is None else request.pk in shown


def _verify(
    user: "User",
    scope: ThrottleScope,
    client_info: ClientInfo,
    *,
    code: str,
    passkey: str,
    recovery: bool,
) -> VerificationResult:
    if passkey:
        return verify_passkey(user=user, response=passkey, scope=scope, client_info=client_info)
    verify = verify_recovery_code if recovery else verify_code
    return verify(user=user, code=code, scope=scope, client_info=client_info)


def _release(
    request: AccessRequest, user: "User", verification: Verification, client_info: ClientInfo
) -> bool:
    """Release a locked request, unless it ends instead.

    It stays pending where its flow demands a passkey, or a verification of its own.
    """
    now = timezone.now()
    if _has_ended(request, now):
        return False
    try:
        claim(request.mfa_requirement(), verification)
    except WindowClosed:
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
        metadata={
            "verification": verification.pk,
            "with": verification.device_name,
            "method": verification.method,
        },
        pending_until=pending_until(to, now),
        escalates_at=escalates_at,
        message="",
        **evidence_fields(verification),
    )
    return True


def _has_ended(request: AccessRequest, now: datetime) -> bool:
    """Let a request lapse that waited too long, or cancel it, with the reason, if it may not go on."""
    if request.pending_until is not None and request.pending_until <= now:
        lapse_all([request])
        return True
    if sentence := ineligibility_reason(request):
        cancel_ineligible(request, sentence)
        return True
    return False
