"""More time for open access: asked for with its evidence, confirmed by every target, else not given.

The request keeps its end until all targets have moved theirs. So whatever fails or comes too late,
access ends when it would have ended anyway, and of extending and ending exactly one comes about.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError, TargetUnavailable
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.models import MfaState
from mfa.verification.evidence import require_evidence
from mfa.verification.locking import lock_state
from mfa.verification.policies import evidence_holds
from mfa.verification.window import Window
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.target_access import draft, reach
from requests_app.lifecycle import conflict_on, lock_request, lock_with_state
from requests_app.models import AccessRequest, Extension, Grant, GrantState, Status
from requests_app.policies import (
    approval_gap,
    evidence_fields,
    extension_conflict,
    extension_refusal,
    ineligibility_reason,
    when_to_remind,
)

ASKED = Extension.State.ASKED
PATIENCE = timedelta(seconds=20)  # of one try; longer than a target may take to answer
LONGEST_DELAY = timedelta(seconds=30)


def extend_access(
    *,
    actor: Any,
    request: AccessRequest,
    used: int,
    window: Window | None,
    client_info: ClientInfo = SYSTEM,
) -> Extension:
    """Ask for the flow's next extension, and have the targets told at once.

    ``used`` is how many the page showed as used: a second click on it does not extend twice.
    Returns it as it stands: done, or asked still when a target did not answer, which a worker asks
    again until the end comes. Raises `WindowClosed`, `RequestRefused` or `Conflict`.
    """
    extension = carry_out_extension(extension=_ask(actor, request, used, window, client_info))
    if extension.state == Extension.State.FAILED:
        raise Conflict(f"{request.reference} was not extended. {extension.message}")
    return extension


def carry_on_extensions(*, now: datetime) -> int:
    """Ask again for what was not answered, and close what its end has overtaken. Returns how many."""
    done = 0
    waiting = Extension.objects.filter(state=ASKED, next_attempt_at__lte=now)
    for extension in waiting.order_by("next_attempt_at")[:20]:
        mine = Extension.objects.filter(
            pk=extension.pk, state=ASKED, next_attempt_at=extension.next_attempt_at
        )
        if mine.update(next_attempt_at=now + PATIENCE):
            carry_out_extension(extension=extension)
            done += 1
    return done


def carry_out_extension(*, extension: Extension) -> Extension:
    """Have every target move its end, then the request's. Two that do so at once do it once."""
    with transaction.atomic():
        request, state = lock_with_state(extension.request_id)
        extension = Extension.objects.get(pk=extension.pk)
        if extension.state != ASKED:
            return extension
        if sentence := _why_not(extension, request, state):
            return _refuse(extension, request, sentence)
    enforced: dict[Any, datetime] = {}
    try:
        for grant in request.grants.select_related("integration"):
            enforced[grant.pk] = _move(grant, extension.to_end)
    except TargetUnavailable as error:
        return _put_off(extension, error.sentence)
    except ConnectorError as error:
        with transaction.atomic():
            return _refuse(extension, lock_request(request.pk), error.sentence)
    return _confirm(extension, enforced)


def _ask(
    actor: Any, request: AccessRequest, used: int, window: Window | None, client_info: ClientInfo
) -> Extension:
    now = timezone.now()
    with transaction.atomic():
        lock_state(actor.pk)
        request = lock_request(request.pk)
        if sentence := extension_refusal(request, actor, now):
            raise RequestRefused(sentence)
        if request.status != Status.ACTIVE or request.ends_at is None:
            raise conflict_on(request)
        if request.extensions_used != used:
            raise Conflict(
                f"{request.reference} was extended since this page was drawn. "
                "Look at its end, and extend again if that is too soon."
            )
        if sentence := extension_conflict(request, now):
            raise Conflict(sentence)
        evidence = require_evidence(user=actor, window=window) if request.require_mfa else None
        extension = Extension.objects.create(
            request=request,
            number=request.extensions_used + 1,
            asked_at=now,
            asked_from=client_info.address,
            from_end=request.ends_at,
            to_end=request.ends_at + request.extension_duration,
            next_attempt_at=now + PATIENCE,
            require_mfa=request.require_mfa,
            **evidence_fields(evidence),
        )
        request.grants.update(extending_to=extension.to_end)
        _tell(
            EventName.REQUEST_ASK_EXTENSION,
            extension,
            request,
            actor=actor,
            client_info=client_info,
        )
    return extension


def _move(grant: Grant, to_end: datetime) -> datetime:
    with draft():
        integration, connector, target = reach(grant)
        if grant.identity is None:
            raise TargetUnavailable("The portal does not know yet which login is this grant's.")
        spec = replace(grant.spec(integration), deadline=to_end)
        return connector.extend(target, spec, grant.identity, since=grant.enforced_until)


def _confirm(extension: Extension, enforced: Mapping[Any, datetime]) -> Extension:
    with transaction.atomic():
        request, state = lock_with_state(extension.request_id)
        extension = Extension.objects.get(pk=extension.pk)
        if extension.state != ASKED:
            return extension
        if sentence := _why_not(extension, request, state):
            return _refuse(extension, request, sentence)
        for pk, until in enforced.items():
            Grant.objects.filter(pk=pk, state=GrantState.ACTIVE).update(
                deadline=extension.to_end, extending_to=None, enforced_until=until
            )
        starts_at = request.starts_at or extension.asked_at
        moved = AccessRequest.objects.filter(
            pk=request.pk, status=Status.ACTIVE, ends_at=extension.from_end
        ).update(
            ends_at=extension.to_end,
            extensions_used=F("extensions_used") + 1,
            remind_at=when_to_remind(starts_at, extension.to_end),
        )
        if not moved:
            raise conflict_on(request)
        _settle(extension, Extension.State.DONE, "")
        _tell(EventName.REQUEST_EXTEND, extension, request, actor=request.requester)
    return extension


def _why_not(extension: Extension, request: AccessRequest, state: MfaState | None) -> str:
    """Under the locks of the request and its requester's MFA state."""
    if request.status != Status.ACTIVE or request.ends_at != extension.from_end:
        return conflict_on(request).sentence
    if extension.from_end <= timezone.now():
        return "Its end came first."
    if request.grants.exclude(state=GrantState.ACTIVE).exists():
        return "Part of it has ended already."
    if sentence := ineligibility_reason(request) or approval_gap(request):
        return sentence
    if not extension.require_mfa:
        return ""
    if state is not None and evidence_holds(verification=extension.verification, state=state):
        return ""
    return "The MFA it was asked with was reset."


def _put_off(extension: Extension, sentence: str) -> Extension:
    """Attempt again soon; what was asked stays asked until its end."""
    turn = timezone.now() + min(
        LONGEST_DELAY, timedelta(seconds=2) * 2 ** min(extension.attempts, 5)
    )
    Extension.objects.filter(pk=extension.pk, state=ASKED).update(
        next_attempt_at=turn, attempts=F("attempts") + 1, message=sentence[:500]
    )
    extension.refresh_from_db()
    return extension


def _refuse(extension: Extension, request: AccessRequest, sentence: str) -> Extension:
    """Give it up, in a transaction that holds the request; its end stays as it was.

    A target that had moved already lets the login in for longer than it should: from here on that
    is drift, which is told.
    """
    if _settle(extension, Extension.State.FAILED, sentence[:500]):
        request.grants.update(extending_to=None)
        _tell(EventName.REQUEST_REFUSE_EXTENSION, extension, request, actor=None)
    return extension


def _settle(extension: Extension, state: Extension.State, message: str) -> bool:
    changes = {"state": state, "message": message, "settled_at": timezone.now()}
    settled = Extension.objects.filter(pk=extension.pk, state=ASKED).update(**changes)
    extension.refresh_from_db()
    return bool(settled)


def _tell(
    event: EventName,
    extension: Extension,
    request: AccessRequest,
    *,
    actor: Any | None,
    client_info: ClientInfo = SYSTEM,
) -> None:
    told = {
        "number": extension.number,
        "of": request.max_extensions,
        "from": extension.from_end,
        "until": extension.to_end,
        "verification": extension.verification_id,
        "with": extension.verified_with,
    }
    if extension.message:
        told["reason"] = extension.message
    record(
        event=event,
        actor=actor,
        target=request,
        request=request,
        client_info=client_info,
        metadata=told,
    )
