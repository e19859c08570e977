"""Extension of active access: requested with MFA evidence, then confirmed by every target.

The request keeps its end until all targets have moved theirs. So whatever fails or comes too late,
access ends when it would have ended anyway; either the extension or the end takes effect, never both.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError, TargetUnavailable
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.models import MfaState, Verification
from mfa.verification.evidence import require_evidence
from mfa.verification.locking import lock_state
from mfa.verification.policies import is_evidence_valid
from mfa.verification.window import Window
from requests_app.evidence_checks import record_tampering, tampering_recorded
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.reminders import reminder_time
from requests_app.grants.target_access import connector_errors, connector_of
from requests_app.lifecycle import (
    conflict_on,
    evidence_fields,
    lock_request,
    lock_with_state,
    sign_request,
)
from requests_app.models import AccessRequest, Extension, Grant, GrantState, Status
from requests_app.policies import (
    EXTENSION_NOT_AUTHENTIC,
    TAMPERING,
    agent_refusal,
    approval_gap,
    grants_gap,
    ineligibility_reason,
)

if TYPE_CHECKING:
    from apono_portal.users.models import User

REQUESTED = Extension.State.REQUESTED
MIN_REMAINING = timedelta(seconds=30)  # the watchdog of a worker may know an end this long
ATTEMPT_TIMEOUT = timedelta(seconds=20)  # longer than a target may take to answer
MAX_RETRY_DELAY = timedelta(seconds=30)
MAX_RETRIED = 20  # in one call


def extend_access(
    *,
    actor: "User",
    request: AccessRequest,
    used: int,
    window: Window | None,
    client_info: ClientInfo = SYSTEM,
) -> Extension:
    """Request the flow's next extension and apply it to the targets.

    ``used`` is the number of used extensions shown on the page, so that a second click does not extend
    twice. The returned extension is done, or still requested if a target did not answer; a worker
    then retries until the end. Raises `WindowClosed`, `RequestRefused` or `Conflict`.
    """
    with tampering_recorded(request=request, target=request, actor=actor, client_info=client_info):
        extension = _request_extension(actor, request, used, window, client_info)
    extension = apply_extension(extension=extension)
    if extension.state == Extension.State.FAILED:
        raise Conflict(f"{request.reference} was not extended. {extension.message}")
    return extension


def retry_extensions(*, now: datetime) -> int:
    """Retry extensions that a target has not answered, and return how many."""
    retried = 0
    due = Extension.objects.filter(state=REQUESTED, next_attempt_at__lte=now)
    for extension in due.order_by("next_attempt_at")[:MAX_RETRIED]:
        unclaimed = Extension.objects.filter(
            pk=extension.pk, state=REQUESTED, next_attempt_at=extension.next_attempt_at
        )
        if unclaimed.update(next_attempt_at=now + ATTEMPT_TIMEOUT):
            apply_extension(extension=extension)
            retried += 1
    return retried


def apply_extension(*, extension: Extension) -> Extension:
    """Move the end on every target, then on the request. Concurrent calls take effect once."""
    with transaction.atomic():
        request, state = lock_with_state(extension.request_id)
        extension = Extension.objects.get(pk=extension.pk)
        if extension.state != REQUESTED:
            return extension
        if sentence := _obstacle(extension, request, state):
            return _fail(extension, request, sentence)
    enforced: dict[UUID, datetime] = {}
    try:
        for grant in request.grants.select_related("integration"):
            enforced[grant.pk] = _extend_on_target(grant, extension.to_end)
    except TargetUnavailable as error:
        return _retry_later(extension, error.sentence)
    except ConnectorError as error:
        with transaction.atomic():
            return _fail(extension, lock_request(request.pk), error.sentence)
    return _confirm(extension, enforced)


def extension_refusal(request: AccessRequest, user: "User", now: datetime) -> str:
    """Return why the user may not extend this access, or ""."""
    if not user.is_active or request.requester_id != user.pk:
        return "Only the requester may extend this access."
    if request.status != Status.ACTIVE:
        return ""  # a conflict, which the caller raises
    if request.max_extensions == 0:
        return f"{request.flow_name} allows no extensions. Request access again."
    if request.extensions_left <= 0:
        return f"{request.reference} has no extensions left. Request access again."
    if sentence := ineligibility_reason(request) or approval_gap(request):
        return sentence
    availability = request.flow.availability if request.flow else None
    if availability is not None and not availability.holds_at(now):
        return f"{request.flow_name} is only available {availability}. The expiry stays the same."
    return ""


def extension_conflict(request: AccessRequest, now: datetime) -> str:
    """Return what prevents an extension at this moment, or ""."""
    if request.extensions.filter(state=REQUESTED).exists():
        return f"{request.reference} is already being extended."
    if request.ends_at is None or request.ends_at - now < MIN_REMAINING:
        return f"{request.reference} expires too soon to be extended. Request access again."
    if request.grants.exclude(state=GrantState.ACTIVE).exists():
        return f"Part of {request.reference} is already revoked."
    return ""


def _request_extension(
    actor: "User", request: AccessRequest, used: int, window: Window | None, client_info: ClientInfo
) -> Extension:
    now = timezone.now()
    with transaction.atomic():
        lock_state(actor.pk)
        request = lock_request(request.pk)
        if sentence := agent_refusal(request, client_info) or extension_refusal(
            request, actor, now
        ):
            raise RequestRefused(sentence)
        if request.status != Status.ACTIVE or request.ends_at is None:
            raise conflict_on(request)
        if request.extensions_used != used:
            raise Conflict(
                f"{request.reference} was extended since this page was loaded. "
                "Check its new expiry, and extend again if you need more time."
            )
        if sentence := extension_conflict(request, now):
            raise Conflict(sentence)
        evidence = _evidence(request, actor, window) if request.require_mfa else None
        extension = Extension(
            request=request,
            number=request.extensions_used + 1,
            requested_at=now,
            requested_from=client_info.address,
            from_end=request.ends_at,
            to_end=request.ends_at + request.extension_duration,
            next_attempt_at=now + ATTEMPT_TIMEOUT,
            require_mfa=request.require_mfa,
            **evidence_fields(evidence),
        )
        extension.sign().save(force_insert=True)
        request.grants.update(extending_to=extension.to_end)
        _record(
            EventName.REQUEST_REQUEST_EXTENSION,
            extension,
            request,
            actor=actor,
            client_info=client_info,
        )
    return extension


def _evidence(request: AccessRequest, actor: "User", window: Window | None) -> Verification:
    requirement = request.mfa_requirement(_action(request.extensions_used + 1))
    return require_evidence(user=actor, window=window, requirement=requirement)


def _action(number: int) -> str:
    """Return what the verification of an extension is used for."""
    return f"extension {number}"


def _extend_on_target(grant: Grant, to_end: datetime) -> datetime:
    with connector_errors():
        integration, connector, target = connector_of(grant)
        if grant.identity is None:
            raise TargetUnavailable("The portal does not know the login of this grant yet.")
        spec = replace(grant.spec(integration, by_agent=grant.request.by_agent), deadline=to_end)
        return connector.extend(target, spec, grant.identity, since=grant.enforced_until)


def _confirm(extension: Extension, enforced: Mapping[UUID, datetime]) -> Extension:
    with transaction.atomic():
        request, state = lock_with_state(extension.request_id)
        extension = Extension.objects.get(pk=extension.pk)
        if extension.state != REQUESTED:
            return extension
        if sentence := _obstacle(extension, request, state):
            return _fail(extension, request, sentence)
        for grant in request.grants.filter(pk__in=enforced, state=GrantState.ACTIVE):
            grant.deadline, grant.extending_to = extension.to_end, None
            grant.enforced_until = enforced[grant.pk]
            grant.sign().save(update_fields=["deadline", "extending_to", "enforced_until", "mac"])
        starts_at = request.starts_at or extension.requested_at
        extended = AccessRequest.objects.filter(
            pk=request.pk, status=Status.ACTIVE, ends_at=extension.from_end
        ).update(
            ends_at=extension.to_end,
            extensions_used=F("extensions_used") + 1,
            remind_at=reminder_time(starts_at, extension.to_end),
        )
        if not extended:
            raise conflict_on(request)
        request.refresh_from_db()
        sign_request(request)
        _settle(extension, Extension.State.DONE, "")
        _record(EventName.REQUEST_EXTEND, extension, request, actor=request.requester)
    return extension


def _obstacle(extension: Extension, request: AccessRequest, state: MfaState | None) -> str:
    """Return why an extension cannot take effect, or "". Needs the locks on request and state."""
    if request.status != Status.ACTIVE or request.ends_at != extension.from_end:
        return conflict_on(request).sentence
    if extension.from_end <= timezone.now():
        return "The access expired first."
    if request.grants.exclude(state=GrantState.ACTIVE).exists():
        return "Part of the access is already revoked."
    if sentence := ineligibility_reason(request) or approval_gap(request):
        return sentence
    if not extension.is_authentic or extension.require_mfa != request.require_mfa:
        return EXTENSION_NOT_AUTHENTIC
    if sentence := grants_gap(request.grants.all()):
        return sentence
    if not extension.require_mfa:
        return ""
    requirement = request.mfa_requirement(_action(extension.number))
    if state is not None and is_evidence_valid(
        verification=extension.verification, state=state, requirement=requirement
    ):
        return ""
    return "MFA was reset or changed after the extension was requested."


def _retry_later(extension: Extension, sentence: str) -> Extension:
    """Schedule the next attempt; the extension stays requested until the access ends."""
    at = timezone.now() + min(
        MAX_RETRY_DELAY, timedelta(seconds=2) * 2 ** min(extension.attempts, 5)
    )
    Extension.objects.filter(pk=extension.pk, state=REQUESTED).update(
        next_attempt_at=at, attempts=F("attempts") + 1, message=sentence[:500]
    )
    extension.refresh_from_db()
    return extension


def _fail(extension: Extension, request: AccessRequest, sentence: str) -> Extension:
    """Fail an extension, under the lock of its request, whose end stays.

    A target that has moved its end already now admits the login for too long, which is drift.
    """
    if _settle(extension, Extension.State.FAILED, sentence[:500]):
        request.grants.update(extending_to=None)
        _record(EventName.REQUEST_REFUSE_EXTENSION, extension, request, actor=None)
        if sentence in TAMPERING:
            record_tampering(request=request, reason=sentence, target=extension)
    return extension


def _settle(extension: Extension, state: Extension.State, message: str) -> bool:
    changes = {"state": state, "message": message, "settled_at": timezone.now()}
    settled = Extension.objects.filter(pk=extension.pk, state=REQUESTED).update(**changes)
    extension.refresh_from_db()
    return bool(settled)


def _record(
    event: EventName,
    extension: Extension,
    request: AccessRequest,
    *,
    actor: "User | None",
    client_info: ClientInfo = SYSTEM,
) -> None:
    metadata = {
        "number": extension.number,
        "of": request.max_extensions,
        "from": extension.from_end,
        "until": extension.to_end,
        "verification": extension.verification_id,
        "with": extension.verified_with,
    }
    if extension.message:
        metadata["reason"] = extension.message
    record(
        event=event,
        actor=actor,
        target=request,
        request=request,
        client_info=client_info,
        metadata=metadata,
    )
