"""Requests, access and flows as the API returns them."""

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from accessflows.models import AccessFlow, FlowTarget, Integration
from apono_portal.core.web.absolute_urls import absolute_url
from requests_app.grants.status import grant_status
from requests_app.models import AccessRequest, Grant, GrantState, Status
from requests_app.submission.selection import approver_names

Description = dict[str, Any]


def step_up_url(request: AccessRequest) -> str | None:
    """Return where the requester verifies, None unless the request waits for that."""
    if request.status != Status.PENDING_MFA:
        return None
    return f"{absolute_url('requests:step_up')}?request={request.pk}"


def confirm_url(token_id: int, request: AccessRequest) -> str:
    """Return where the requester lets a token act on a protected request."""
    return absolute_url("api:confirm_token", token_id, request.pk)


def describe_request(request: AccessRequest) -> Description:
    return {
        "id": request.pk,
        "reference": request.reference,
        "url": absolute_url("requests:detail", request.pk),
        "status": request.status,
        "flow_id": request.flow_id,
        "flow": request.flow_name,
        "requester": request.requester_label,
        "targets": [
            {
                "integration": target.integration_name,
                "resource": target.resource,
                "permission": target.permission,
            }
            for target in request.targets.all()
        ],
        "duration_s": int(request.duration.total_seconds()),
        "justification": request.justification,
        "ticket": request.ticket,
        "break_glass": request.break_glass,
        "require_mfa": request.require_mfa,
        "verified_at": request.verified_at,
        "token": request.token_name,
        "by_agent": request.by_agent,
        "message": request.message,
        "created_at": request.created_at,
        "pending_until": request.pending_until,
        "starts_at": request.starts_at,
        "ends_at": request.ends_at,
        "ended_at": request.ended_at,
        "extensions_used": request.extensions_used,
        "extensions_left": request.extensions_left,
        "step_up_url": step_up_url(request),
    }


def describe_request_in_full(request: AccessRequest) -> Description:
    return {
        **describe_request(request),
        "grants": [describe_grant(grant, request) for grant in request.grants.all()],
        "decisions": [
            {
                "verdict": decision.verdict,
                "approver": decision.approver_label,
                "reason": decision.reason,
                "at": decision.at,
            }
            for decision in request.decisions.all()
        ],
    }


def describe_grant(grant: Grant, request: AccessRequest) -> Description:
    now = timezone.now()
    is_usable = (
        request.status == Status.ACTIVE
        and grant.state == GrantState.ACTIVE
        and grant.deadline > now
    )
    return {
        "id": grant.pk,
        "request_id": request.pk,
        "request": request.reference,
        "integration": grant.integration_name,
        "integration_kind": grant.integration.kind if grant.integration else "",
        "resource": grant.resource,
        "permission": grant.permission,
        "status": grant_status(grant, now).code,
        "login": grant.login,
        "expires_at": grant.deadline,
        "can_reveal": is_usable and grant.revealed_at is None,
        "can_reset": is_usable and grant.revealed_at is not None,
    }


def describe_target(target: FlowTarget) -> Description:
    """Return an item of the inventory."""
    integration = target.resource.integration
    return {
        "id": target.pk,
        "integration_id": integration.pk,
        "integration_kind": integration.kind,
        **_names(target),
        "description": target.permission.description,
        "flow": _flow_summary(target.flow),
    }


def describe_flow(flow: AccessFlow) -> Description:
    return {
        **_flow_summary(flow),
        "description": flow.description,
        "is_active": flow.is_active,
        "version": flow.version,
        "managed_by_file": flow.managed_by_file,
        "requesters": flow.requester_texts,
        "targets": [_names(target) for target in flow.targets.all()],
        "max_extensions": flow.max_extensions,
        "extension_duration_s": int(flow.extension_duration.total_seconds()),
    }


def describe_integrations(integrations: Iterable[Integration]) -> list[Description]:
    """Return integrations, read by `integration_rows`."""
    return [
        {
            "id": integration.pk,
            "name": integration.name,
            "kind": integration.kind,
            "address": f"{integration.host}:{integration.port}",
            "is_active": integration.is_active,
            "health": integration.health,
            "health_checked_at": integration.health_checked_at,
            "resources": getattr(integration, "resource_count", 0),
            "permissions": getattr(integration, "permission_count", 0),
        }
        for integration in integrations
    ]


def _names(target: FlowTarget) -> Description:
    return {
        "integration": target.resource.integration.name,
        "resource": target.resource.name,
        "permission": target.permission.name,
    }


def _flow_summary(flow: AccessFlow) -> Description:
    return {
        "id": flow.pk,
        "name": flow.name,
        "break_glass": flow.break_glass,
        "require_mfa": flow.require_mfa,
        "mfa_strength": flow.mfa_strength,
        "verify_every_request": flow.verify_every_request,
        "approval": flow.approval,
        "approvers": approver_names(flow),
        "max_duration_s": int(flow.max_duration.total_seconds()),
        "agents": flow.agents,
        "require_justification": flow.require_justification,
        "require_ticket": flow.require_ticket,
        "ticket_pattern": flow.ticket_pattern,
    }
