"""Reviewing break-glass access, and lifting the pause that follows "Not justified"."""

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from accessflows.permissions import require_admin
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.evidence import require_evidence
from mfa.verification.window import Window
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.lifecycle import lock_request
from requests_app.models import AccessRequest, BreakGlassReview
from requests_app.submission.validation import clean_reason

if TYPE_CHECKING:
    from apono_portal.users.models import User

OWN_ACCESS = "Your own access is reviewed by another admin."


def review_access(
    *,
    actor: "User",
    window: Window | None,
    request: AccessRequest,
    verdict: BreakGlassReview.Verdict,
    note: str,
    client_info: ClientInfo = SYSTEM,
) -> BreakGlassReview:
    """Record an admin's review of break-glass access that has ended.

    "Not justified" pauses the requester's break-glass access; the worker revokes what is active of it.
    Raises `RequestRefused` without a note, or for the admin's own access, and `Conflict` while it is
    active or if somebody reviewed it first.
    """
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        verification = require_evidence(user=actor, window=window)
        request = lock_request(request.pk)
        _check_reviewable(request, actor)
        review = BreakGlassReview.objects.create(
            request=request,
            reviewer=actor,
            reviewer_label=str(actor),
            verdict=verdict,
            note=clean_reason(note, required=True),
            verification=verification,
        )
        AccessRequest.objects.filter(pk=request.pk).update(reviewed_at=review.at)
        record(
            event=EventName.REQUEST_REVIEW,
            actor=actor,
            target=request,
            request=request,
            client_info=client_info,
            metadata={
                "verdict": review.verdict,
                "reason": review.note,
                "verification": verification.pk,
            },
        )
    return review


def lift_pause(
    *,
    actor: "User",
    window: Window | None,
    review: BreakGlassReview,
    client_info: ClientInfo = SYSTEM,
) -> None:
    """Allow break-glass access again to the requester of access that was not justified."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        if review.request.requester_id == actor.pk:
            raise RequestRefused("Another admin must lift your own pause.")
        lifted = BreakGlassReview.objects.pausing().filter(pk=review.pk)
        if not lifted.update(lifted_at=timezone.now(), lifted_by_label=str(actor)):
            raise Conflict("This pause was lifted already. Nothing was changed.")
        record(
            event=EventName.REQUEST_LIFT_PAUSE,
            actor=actor,
            target=review.request,
            request=review.request,
            client_info=client_info,
        )


def _check_reviewable(request: AccessRequest, actor: "User") -> None:
    if not request.break_glass or request.starts_at is None:
        raise RequestRefused(f"{request.reference} gave no break-glass access.")
    if request.requester_id == actor.pk:
        raise RequestRefused(OWN_ACCESS)
    if request.is_live:
        raise Conflict("This access has not ended yet. Review it afterwards.")
    if request.reviewed_at is not None:
        raise Conflict("Someone else reviewed this first. Nothing was changed.")
