"""Decisions about requests and grants. They write nothing."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

from accessflows.flows.fingerprint import compute_fingerprint
from accessflows.flows.policies import approval_met, can_request
from accessflows.models import AccessFlow, Permission, Resource
from apono_portal.core.web.client import ClientInfo
from mfa.models import MfaState
from mfa.verification.policies import is_evidence_valid
from requests_app.models import AccessRequest, BreakGlassReview, Decision, Grant, GrantState, Status

if TYPE_CHECKING:
    from apono_portal.users.models import User

AGENTS_DECIDE_NOTHING = "AI agents cannot approve or reject. Nothing was decided."
DECISION = "decision"  # what an approver's verification is used for
NOT_AUTHENTIC = (
    "The stored request is not the one that the portal wrote: it was changed in the database. "
    "Tell an account admin, and request access again."
)
APPROVAL_NOT_AUTHENTIC = "The stored approval is not the one that the portal wrote."
EXTENSION_NOT_AUTHENTIC = "The stored extension is not the one that the portal wrote."
GRANT_NOT_AUTHENTIC = "A stored grant is not the one that the portal wrote. Request access again."
ACCESS_NOT_AUTHENTIC = "The stored access is not what the portal wrote. Revoke it."
# Refusals that mean that somebody wrote to the database.
TAMPERING = frozenset(
    {
        NOT_AUTHENTIC,
        APPROVAL_NOT_AUTHENTIC,
        EXTENSION_NOT_AUTHENTIC,
        GRANT_NOT_AUTHENTIC,
        ACCESS_NOT_AUTHENTIC,
    }
)


def is_approved(flow: AccessFlow | None, request: AccessRequest | None = None) -> bool:
    """Whether a request has the approvals its flow demands; a new one (None) has no decisions yet."""
    if flow is None:
        return False
    if request is None:
        return approval_met(flow, [])
    decisions = [d for d in request.decisions.all() if decision_stands(request, d)]
    return approval_met(
        flow, decisions, requester_id=request.requester_id, tier=request.escalation_tier
    )


def decision_stands(request: AccessRequest, decision: Decision) -> bool:
    """Whether the decision still counts."""
    return not void_reason(request, decision)


def void_reason(request: AccessRequest, decision: Decision) -> str:
    """Return why a decision counts for nothing, or "".

    After a reset of the approver's MFA, someone else may have made it.
    """
    if not decision.is_authentic or decision.fingerprint != request.flow_fingerprint:
        return APPROVAL_NOT_AUTHENTIC
    if not request.require_mfa:
        return ""
    state = MfaState.objects.filter(pk=decision.approver_id or 0).first()
    if state is not None and is_evidence_valid(
        verification=decision.verification,
        state=state,
        requirement=request.mfa_requirement(DECISION),
    ):
        return ""
    return "The approver's MFA was reset, or is no longer accepted by this flow."


def approval_gap(request: AccessRequest) -> str:
    """Return why the request is no longer approved, or ""."""
    if is_approved(request.flow, request):
        return ""
    return "The approval is no longer valid: its approver can no longer approve it. Request access again."


def grants_gap(grants: Iterable[Grant]) -> str:
    """Return why grants, as read for their use, permit nothing, or ""."""
    if all(grant.is_authentic for grant in grants):
        return ""
    return GRANT_NOT_AUTHENTIC


def allows_delegation(grant: Grant) -> bool:
    """Whether the grant's flow accepts permissions with which users could give others access."""
    flows = AccessFlow.objects.filter(access_requests=grant.request_id)
    return flows.filter(allow_delegation=True).exists()


def ineligibility_reason(request: AccessRequest) -> str:
    """Return why a request may not go on, or "". Reads everything from the database again."""
    if not request.is_authentic:
        return NOT_AUTHENTIC
    requester = get_user_model()._default_manager.filter(pk=request.requester_id or 0).first()
    flow = AccessFlow.objects.filter(pk=request.flow_id or 0).first()
    if requester is None or not requester.is_active:
        return "The requester is no longer active."
    if flow is None:
        return f"The access flow {request.flow_name} was deleted."
    if not flow.is_active:
        return f"The access flow {flow.name} was deactivated."
    if not can_request(flow, requester):
        return f"{request.requester_label} can no longer request access through {flow.name}."
    if request.break_glass and (sentence := pause_reason(request.requester_id)):
        return sentence
    if compute_fingerprint(flow) != request.flow_fingerprint:
        return (
            f"The access flow {flow.name} was changed after this request was made. "
            "Request access again."
        )
    return _target_unavailability(request)


def pause_reason(user_id: int | None) -> str:
    """Return why a user's break-glass access is paused, or ""."""
    reviews = BreakGlassReview.objects.pausing().filter(request__requester=user_id or 0)
    review = reviews.select_related("request").first()
    if review is None:
        return ""
    return (
        f"Break-glass access is paused since {review.request.reference} was reviewed as not justified. "
        "An account admin can lift the pause."
    )


def _target_unavailability(request: AccessRequest) -> str:
    targets = list(request.targets.select_related("integration"))
    if not targets:
        return "The request names no resource."
    for target in targets:
        if target.integration is None or not target.integration.is_active:
            return f"The integration {target.integration_name} was disabled."
        for model, name in ((Resource, target.resource), (Permission, target.permission)):
            rows = model.objects.filter(integration=target.integration, name=name)
            if not rows.filter(missing_since=None).exists():
                return f"{name} no longer exists on {target.integration_name}."
    return ""


def can_revoke(request: AccessRequest, user: "User") -> bool:
    """Requesters and account admins may revoke access or cancel a request."""
    return user.is_active and (request.requester_id == user.pk or user.is_account_admin)


def agent_refusal(request: AccessRequest, client_info: ClientInfo) -> str:
    """Return why the client may not act on a request, or "". An AI agent acts on its own requests only."""
    token = client_info.token
    if token is None or not token.is_agent or token.id == request.token_id:
        return ""
    return "An AI agent acts only on what it requested itself. Nothing was changed."


def agent_reveal_refusal(request: AccessRequest, client_info: ClientInfo) -> str:
    """Return why the client may not have a credential, or "": what the flow said then, and says now."""
    if sentence := agent_refusal(request, client_info):
        return sentence
    flow_agents = request.flow.agents if request.flow else AccessFlow.Agents.NONE
    allowed = {request.agents, flow_agents} == {AccessFlow.Agents.REVEAL}
    if allowed or not client_info.is_agent:
        return ""
    return "AI agents do not get this credential. Its user can reveal it in the portal."


def can_request_again(request: AccessRequest, user: "User") -> bool:
    """Whether this is the user's own request and it is over."""
    return request.requester_id == user.pk and not request.is_pending and not request.is_live


def can_extend(request: AccessRequest, user: "User") -> bool:
    """Whether the user's own access is active and has an extension left."""
    return (
        request.status == Status.ACTIVE
        and request.requester_id == user.pk
        and request.extensions_left > 0
    )


def can_reveal(grant: Grant, user: "User") -> bool:
    """Only the requester may, and only before revocation starts."""
    return (
        user.is_active
        and grant.request.requester_id == user.pk
        and grant.request.status == Status.ACTIVE
        and grant.state == GrantState.ACTIVE
    )


def has_decided(decisions: Iterable[Decision], user: "User") -> bool:
    return any(decision.approver_id == user.pk for decision in decisions)
