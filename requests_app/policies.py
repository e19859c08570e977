"""Decisions about requests that need no write: what follows, what is void, what may be asked."""

import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model

from accessflows.flows.fingerprint import compute_fingerprint
from accessflows.flows.policies import approval_met, can_request
from accessflows.models import AccessFlow, FlowTarget, Permission, Resource
from accessflows.tickets import matches_pattern, parse_ticket_references, pattern_example
from apono_portal.core.formatting.durations import format_duration
from mfa.models import MfaState, Verification
from mfa.verification.policies import evidence_holds
from requests_app.exceptions import RequestRefused
from requests_app.models import AccessRequest, Decision, Extension, Grant, GrantState, Status

# Workers remember for some seconds when something ends; what changes later they would not know.
LAST_MOMENT = timedelta(seconds=30)
REMIND_BEFORE = timedelta(minutes=15)
JUSTIFICATION_MAX = 2000
REASON_MAX = 500


def next_status(flow: AccessFlow | None, request: AccessRequest | None = None) -> Status:
    """Where a request goes once MFA is out of the way. Approvals it already has still count."""
    decisions = (
        [d for d in request.decisions.all() if decision_stands(request, d)] if request else []
    )
    requester_id = request.requester_id if request else None
    tier = request.escalation_tier if request else 0
    if flow is not None and approval_met(flow, decisions, requester_id=requester_id, tier=tier):
        return Status.GRANTING
    return Status.PENDING_APPROVAL


def decision_stands(request: AccessRequest, decision: Decision) -> bool:
    """Whether the MFA a decision was made with is still true. Always, where none was required.

    A reset of the approver's MFA says that somebody else may have made it.
    """
    if not request.require_mfa:
        return True
    state = MfaState.objects.filter(pk=decision.approver_id or 0).first()
    return state is not None and evidence_holds(verification=decision.verification, state=state)


def approval_gap(request: AccessRequest) -> str:
    """Say that the approval of a request does not stand any more, or return ""."""
    if next_status(request.flow, request) == Status.GRANTING:
        return ""
    return "The approval no longer stands: who gave it is no approver any more. Ask again."


def next_escalation(flow: AccessFlow, status: Status, tier: int, now: datetime) -> datetime | None:
    """Return when a further group is asked, of a request that gets to a status now."""
    if status != Status.PENDING_APPROVAL:
        return None
    following = flow.escalation_tiers.filter(position__gt=tier).first()
    return now + following.wait if following else None


def current_fingerprint(flow: AccessFlow, named: Iterable[FlowTarget] | None = None) -> str:
    """Return the fingerprint of the flow as it is this moment, address of its targets included.

    ``named`` are all its targets, if they were just read."""
    return compute_fingerprint(flow, named)


def ineligibility_reason(request: AccessRequest) -> str:
    """Say why a request may not go on, or return "". Reads everything afresh."""
    requester = get_user_model()._default_manager.filter(pk=request.requester_id or 0).first()
    flow = AccessFlow.objects.filter(pk=request.flow_id or 0).first()
    if requester is None or not requester.is_active:
        return "The person who asked is no longer active in the portal."
    if flow is None:
        return f"The access flow {request.flow_name} was deleted."
    if not flow.is_active:
        return f"The access flow {flow.name} was switched off."
    if not can_request(flow, requester):
        return f"{request.requester_label} may no longer ask through {flow.name}."
    if current_fingerprint(flow) != request.flow_fingerprint:
        return f"The access flow {flow.name} was changed after this request was made. Ask again."
    return _why_target_is_gone(request)


def _why_target_is_gone(request: AccessRequest) -> str:
    targets = list(request.targets.select_related("integration"))
    if not targets:
        return "The request names no resource."
    for target in targets:
        if target.integration is None or not target.integration.is_active:
            return f"The integration {target.integration_name} was switched off."
        for offered, name in ((Resource, target.resource), (Permission, target.permission)):
            here = offered.objects.filter(integration=target.integration, name=name)
            if not here.filter(missing_since=None).exists():
                return f"{name} is no longer there on {target.integration_name}."
    return ""


def evidence_fields(evidence: Verification | None) -> dict[str, Any]:
    """Return the request's snapshot of a verification; of None, no evidence."""
    return {
        "verification": evidence,
        "verified_at": evidence.at if evidence else None,
        "verified_with": evidence.device_name if evidence else "",
        "verified_scope": evidence.scope if evidence else "",
        "verified_from": evidence.address if evidence else None,
    }


def when_to_remind(starts_at: datetime, ends_at: datetime) -> datetime:
    """Return when to say that access ends soon: 15 minutes before, or at the last tenth if shorter."""
    return ends_at - min(REMIND_BEFORE, (ends_at - starts_at) / 10)


def may_extend(request: AccessRequest, user: Any) -> bool:
    """Is there an extension left for its owner, as far as the request itself knows?"""
    return bool(
        request.status == Status.ACTIVE
        and request.requester_id == user.pk
        and request.extensions_left > 0
    )


def extension_refusal(request: AccessRequest, user: Any, now: datetime) -> str:
    """Say why a person may not extend open access, or return "". Reads the ground afresh."""
    if not user.is_active or request.requester_id != user.pk:
        return "Only the person who asked for it may extend it."
    if request.status != Status.ACTIVE:
        return ""  # a conflict, of which the caller tells more
    if request.max_extensions == 0:
        return f"{request.flow_name} allows no extension. Ask again."
    if request.extensions_left <= 0:
        return (
            f"{request.reference} was extended as often as {request.flow_name} allows. Ask again."
        )
    if sentence := ineligibility_reason(request) or approval_gap(request):
        return sentence
    hours = request.flow.availability if request.flow else None
    if hours is not None and not hours.holds_at(now):
        return f"{request.flow_name} gives time {hours} only. What is open keeps its end."
    return ""


def extension_conflict(request: AccessRequest, now: datetime) -> str:
    """Say that something else came first, or return ""."""
    if request.extensions.filter(state=Extension.State.ASKED).exists():
        return f"{request.reference} is being extended already."
    if request.ends_at is None or request.ends_at - now < LAST_MOMENT:
        return f"{request.reference} is about to end, too soon to extend it. Ask again."
    if request.grants.exclude(state=GrantState.ACTIVE).exists():
        return f"Part of {request.reference} has ended already."
    return ""


def check_duration(duration: timedelta, flow: AccessFlow) -> None:
    if duration <= timedelta(0):
        raise RequestRefused("Ask for a duration above zero.", field="duration")
    if duration > flow.max_duration:
        raise RequestRefused(
            f"{flow.name} gives at most {format_duration(flow.max_duration)}. Ask for that or less.",
            field="duration",
        )


def clean_justification(text: str, *, required: bool) -> str:
    """Return the text with tidy line ends, or refuse one that says nothing."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(text) > JUSTIFICATION_MAX:
        raise RequestRefused(
            f"The justification has {len(text):,} characters; at most {JUSTIFICATION_MAX:,} fit. "
            "Say the task and the ticket, and link to the rest.",
            field="justification",
        )
    _refuse_control_characters(text, field="justification")
    if required and not _says_something(text):
        raise RequestRefused(
            "Say what you will do and why now, in words. The approver and the audit log see it.",
            field="justification",
        )
    return text


def clean_reason(text: str, *, required: bool) -> str:
    text = " ".join(text.split())
    if len(text) > REASON_MAX:
        raise RequestRefused(
            f"The reason has {len(text):,} characters; at most {REASON_MAX} fit.", field="reason"
        )
    _refuse_control_characters(text, field="reason")
    if required and not _says_something(text):
        raise RequestRefused("Give a reason in words; the requester sees it.", field="reason")
    return text


def _refuse_control_characters(text: str, *, field: str) -> None:
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in text):
        raise RequestRefused(
            "The text holds control characters. Type it, or paste it as plain text.", field=field
        )


def clean_ticket(text: str, flow: AccessFlow) -> str:
    """Return the tickets a request names, or refuse what the flow takes for none."""
    try:
        references = parse_ticket_references(text)
    except ValueError as refused:
        raise RequestRefused(str(refused), field="ticket") from None
    like = f", like {pattern_example(flow.ticket_pattern)}" if flow.ticket_pattern else ""
    if flow.require_ticket and not references:
        raise RequestRefused(f"{flow.name} asks for a ticket. Name one{like}.", field="ticket")
    if references and not any(matches_pattern(each, flow.ticket_pattern) for each in references):
        raise RequestRefused(
            f"{flow.name} knows tickets by how they look. Name one{like}.", field="ticket"
        )
    return ", ".join(references)


def _says_something(text: str) -> bool:
    """Two different letters or digits at least, and not the same word, or sign, over and over."""
    said = "".join(char for char in text.casefold() if char.isalnum())
    return len(set(said)) > 1 and said not in (said + said)[1:-1]


def may_end(request: AccessRequest, user: Any) -> bool:
    """The requester and account admins may end access or withdraw a request."""
    return bool(user.is_active and (request.requester_id == user.pk or user.is_account_admin))


def may_ask_again(request: AccessRequest, user: Any) -> bool:
    """One's own request that came to an end, whichever it was."""
    return request.requester_id == user.pk and not request.is_pending and not request.is_live


def may_reveal(grant: Grant, user: Any) -> bool:
    """Only the requester, and only while nothing has begun to end."""
    return bool(
        user.is_active
        and grant.request.requester_id == user.pk
        and grant.request.status == Status.ACTIVE
        and grant.state == GrantState.ACTIVE
    )


def has_decided(decisions: Iterable[Decision], user: Any) -> bool:
    return any(decision.approver_id == user.pk for decision in decisions)
