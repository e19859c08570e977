"""Requests, inventory and sessions in the shapes that the client reads.

It refuses a property that is missing, instants are seconds, and ids are texts.
"""

import shlex
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.templatetags.static import static

from accessflows.connectors.postgresql.connection_lines import psql_command
from accessflows.connectors.protocol import Credential
from accessflows.models import AccessFlow, FlowTarget, Integration, Permission, Resource
from apono_portal.api.v1.descriptions import step_up_url
from apono_portal.users.models import User
from requests_app.models import AccessRequest, Grant, GrantState, RequestedTarget, Status

Shape = dict[str, Any]
POSTGRESQL, MARIADB = "postgresql", "mariadb"
STATUSES = {
    Status.PENDING_MFA: "PendingMFA",
    Status.PENDING_APPROVAL: "Pending",
    Status.GRANTING: "Granting",
    Status.ACTIVE: "Active",
    Status.REVOKING: "Revoking",
    Status.EXPIRED: "Revoked",
    Status.REVOKED: "Revoked",
    Status.CANCELLED: "Revoked",
    Status.REJECTED: "Rejected",
    Status.LAPSED: "Failed",
    Status.FAILED: "Failed",
}
WAITING = "Pending"  # of a status that the client does not know
GROUP_STATUSES = {Status.FAILED: "Failure"}
CONSUMED, NEW = "consumed", "new"  # after a reset the client waits for this very word


def page_of_shapes(shapes: list[Shape], *, limit: int, skip: int) -> Shape:
    """Return a page. The client goes on while a page is full, by the limit that it is told."""
    return {"data": shapes, "pagination": {"limit": limit, "offset": skip}}


def session_shape(user: User, *, uses_mfa: bool) -> Shape:
    return {
        "user": user_shape(user.pk, user.name, user.email),
        "account": {
            "id": settings.PORTAL_ID,
            "name": settings.PORTAL_NAME,
            "plan": "self-hosted",
        },
        "settings": {
            "require_duration_for_access_request": True,
            "mfa_enabled_for_account": uses_mfa,
            "request_custom_fields": [],
            "enable_ai_features": False,
        },
    }


def user_shape(pk: int | None, name: str, email: str) -> Shape:
    return {"id": str(pk or ""), "name": name, "email": email}


def integration_shape(integration: Integration | None, name: str = "") -> Shape:
    """Return an integration; of one that was deleted, the ``name`` is left."""
    return {
        "id": str(integration.pk) if integration else "",
        "type": integration.kind if integration else "",
        "type_display_name": integration.kind_label if integration else "",
        "name": integration.name if integration else name,
        "icons": _icons(),
    }


def resource_type_shape(integration: Integration | None) -> Shape:
    is_database = integration is None or integration.kind in {POSTGRESQL, MARIADB}
    return {
        "id": resource_type_id(integration),
        "name": "Database" if is_database else "Resource",
        "display_path": "Databases" if is_database else "Resources",
        "allow_multiple_permissions": True,
        "icons": _icons(),
    }


def resource_type_id(integration: Integration | None) -> str:
    """Return the id of the one type of resources that an integration has."""
    return f"{integration.kind if integration else POSTGRESQL}-resource"


def resource_shape(resource: Resource) -> Shape:
    return _resource(str(resource.pk), resource.name, resource.integration)


def permission_shape(permission: Permission) -> Shape:
    return {"id": str(permission.pk), "name": permission.name}


def unit_shape(target: RequestedTarget) -> Shape:
    """Return a target of a request."""
    return {
        "id": str(target.pk),
        "resource": _resource(str(target.pk), target.resource, target.integration),
        "permission": {"id": target.permission, "name": target.permission},
    }


def request_shape(request: AccessRequest) -> Shape:
    name, _, email = request.requester_label.partition(" <")
    return {
        "id": request.reference,
        "requestor": user_shape(request.requester_id, name, email.rstrip(">")),
        "creation_time": request.created_at.timestamp(),
        "revocation_time": _seconds(request.ended_at or request.ends_at),
        "status": {
            "status": STATUSES.get(Status(request.status), WAITING),
            "description": step_up_url(request) or request.message,
            "metadata": {},
        },
        "justification": request.justification,
        "access_groups": _groups(request),
        "challenge": _challenge(request),
        "duration_in_sec": int(request.duration.total_seconds()),
        "extension_count": request.extensions_used,
        "extend_options": {
            "can_extend": request.status == Status.ACTIVE and request.extensions_left > 0,
            "extension_availability": "available" if request.extensions_left else "unavailable",
            "extend_duration_in_sec": int(request.extension_duration.total_seconds()),
            "remaining_extensions": request.extensions_left,
        },
    }


def group_id(request: AccessRequest, integration_name: str) -> str:
    return f"{request.pk}:{integration_name}"


def access_session_shape(grant: Grant, *, is_new: bool) -> Shape:
    """Return a grant. ``is_new``: reading its details yields a credential."""
    kind = grant.integration.kind if grant.integration else ""
    methods = ["instructions", "json"]
    return {
        "id": str(grant.pk),
        "name": str(grant),
        "type": {"id": kind, "name": kind, "icons": _icons()},
        "integration": integration_shape(grant.integration, grant.integration_name),
        "credentials": credentials_shape(grant, is_new=is_new),
        "connection_methods": ["cli", *methods] if _is_postgresql(grant) else methods,
        "status": "active" if grant.state == GrantState.ACTIVE else "inactive",
        "has_more_access_units": False,
        "has_launchers": False,
        "launchers": [],
        "credentials_rotated": False,
    }


def credentials_shape(grant: Grant, *, is_new: bool) -> Shape:
    can_reset = grant.state == GrantState.ACTIVE and grant.revealed_at is not None
    return {"id": str(grant.pk), "status": NEW if is_new else CONSUMED, "can_reset": can_reset}


def details_shape(grant: Grant, credential: Credential | None) -> Shape:
    """Return how to connect; without a credential, that it was shown before."""
    if credential is None:
        text = "This credential was shown before. Reset the credentials to get new ones."
        return {
            "credentials": credentials_shape(grant, is_new=False),
            "instructions": {"plain": text, "markdown": text},
            "credentials_rotated": False,
            "launchers": [],
        }
    values = {
        "host": credential.host,
        "port": str(credential.port),
        "database": credential.resource,
        "username": credential.user,
        "password": credential.password,
    }
    if credential.certificate:
        values |= {"certificate": credential.certificate, "known_hosts": credential.known_hosts}
    text = "\n".join(f"{name}: {value}" for name, value in values.items())
    return {
        "credentials": credentials_shape(grant, is_new=False),
        "instructions": {"plain": text, "markdown": f"```\n{text}\n```"},
        "json": values,
        "cli": _shell_command(grant, credential),
        "credentials_rotated": False,
        "launchers": [],
    }


def _shell_command(grant: Grant, credential: Credential) -> str | None:
    """Return what the client hands to a shell, with every value quoted."""
    if grant.integration is None or not _is_postgresql(grant):
        return None
    command = psql_command(credential, sslmode=grant.integration.sslmode)
    return f"PGPASSWORD={shlex.quote(credential.password)} {command}"


def _is_postgresql(grant: Grant) -> bool:
    return grant.integration is not None and grant.integration.kind == POSTGRESQL


def _groups(request: AccessRequest) -> list[Shape]:
    """Return the request's targets by integration."""
    groups: dict[str, RequestedTarget] = {}
    for target in request.targets.all():
        groups.setdefault(target.integration_name, target)
    return [
        {
            "id": group_id(request, name),
            "integration": integration_shape(target.integration, name),
            "resource_types": [resource_type_shape(target.integration)],
            "has_new_credentials": request.status == Status.ACTIVE,
            "status": {"status": GROUP_STATUSES.get(Status(request.status), "Success")},
        }
        for name, target in groups.items()
    ]


def _challenge(request: AccessRequest) -> Shape | None:
    """Return how the request is approved, None if by nobody."""
    if request.approval == AccessFlow.Approval.AUTOMATIC:
        return None
    verdicts = {"approve": "Approved", "reject": "Rejected"}
    is_all = request.approval == AccessFlow.Approval.ALL_OF
    return {
        "logical_relation": "AllOf" if is_all else "AnyOf",
        "approvers": [
            {
                "name": decision.approver_label.partition(" <")[0],
                "type": "user",
                "status": verdicts.get(decision.verdict, "Pending"),
                "metadata": {},
            }
            for decision in request.decisions.all()
        ],
    }


def _resource(pk: str, name: str, integration: Integration | None) -> Shape:
    return {
        "id": pk,
        "source_id": name,
        "name": name,
        "path": name,
        "type": resource_type_shape(integration),
        "integration": integration_shape(integration),
    }


def _icons() -> Shape:
    mark = f"{settings.PORTAL_URL}{static('img/mark.svg')}"
    return {"png": mark, "svg": mark}


def _seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at else None


def choose_targets(targets: Iterable[FlowTarget], duration_s: int) -> list[FlowTarget]:
    """Return one target for each resource and permission: of the flow with the fewest steps that fits.

    The client does not know flows; several may offer the same.
    """
    chosen: dict[tuple[int, int], FlowTarget] = {}
    for target in sorted(targets, key=lambda one: _steps(one.flow, duration_s)):
        chosen.setdefault((target.resource_id, target.permission_id), target)
    return list(chosen.values())


def _steps(flow: AccessFlow, duration_s: int) -> tuple[bool, bool, bool, str]:
    is_too_long = duration_s > flow.max_duration.total_seconds()
    needs_approval = flow.approval != AccessFlow.Approval.AUTOMATIC
    return is_too_long, needs_approval, flow.require_mfa, flow.name
