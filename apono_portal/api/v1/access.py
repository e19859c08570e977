"""The caller's active access, and its credentials."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import Http404
from ninja import Router

from accessflows.connectors.protocol import Credential
from apono_portal.api.authentication import ApiRequest, BearerToken, client_of
from apono_portal.api.problems import CHANGES, ERRORS, mfa_problem
from apono_portal.api.scopes import Scope
from apono_portal.api.tokens.selectors import confirmed_window
from apono_portal.api.v1 import schemas
from apono_portal.api.v1.descriptions import confirm_url, describe_grant
from mfa.exceptions import WindowClosed
from requests_app.grants.credentials import reset_credential, reveal_credential
from requests_app.grants.target_access import connection_lines_of
from requests_app.models import Grant
from requests_app.selectors import access_overview

router = Router(tags=["Access"])


@router.get(
    "/access",
    auth=BearerToken(Scope.ACCESS_READ),
    response={200: schemas.GrantsOut, ERRORS: schemas.ProblemOut},
    summary="List your active access",
)
def list_access(request: ApiRequest) -> dict[str, Any]:
    """What expires next comes first."""
    active = filter(request.auth.may_see, access_overview(request.auth.user).active)
    grants = [(grant, listed) for listed in active for grant in listed.grants.all()]
    return {"items": [describe_grant(grant, listed) for grant, listed in grants]}


@router.post(
    "/access/{grant_id}/reveal",
    auth=BearerToken(Scope.ACCESS_REVEAL),
    response={200: schemas.CredentialOut, CHANGES: schemas.ProblemOut},
    summary="Reveal a credential, once",
)
def reveal(request: ApiRequest, grant_id: UUID) -> dict[str, Any]:
    """The password is made now and returned this once.

    Protected access needs your confirmation: an hour from the verification that released a request of
    this token, or at the ``step_up_url`` of the error.
    """
    return _credential(request, grant_id, reveal_credential)


@router.post(
    "/access/{grant_id}/reset",
    auth=BearerToken(Scope.ACCESS_REVEAL),
    response={200: schemas.CredentialOut, CHANGES: schemas.ProblemOut},
    summary="Replace a revealed credential",
)
def reset(request: ApiRequest, grant_id: UUID) -> dict[str, Any]:
    """The credential revealed before stops working."""
    return _credential(request, grant_id, reset_credential)


def own_grant(request: ApiRequest, grant_id: UUID) -> Grant:
    """Return a grant of the caller's own; anybody else's does not exist."""
    grants = Grant.objects.select_related("request__verification", "integration")
    grant = grants.filter(pk=grant_id, request__requester=request.auth.user).first()
    if grant is None or not request.auth.may_see(grant.request):
        raise Http404
    return grant


def make_credential(
    request: ApiRequest, grant: Grant, make: Callable[..., Credential]
) -> Credential:
    """Reveal or reset a credential with what its owner confirmed for this token."""
    try:
        return make(
            actor=request.auth.user,
            grant=grant,
            window=confirmed_window(request.auth, grant.request),
            client_info=client_of(request),
        )
    except WindowClosed as refusal:
        raise mfa_problem(refusal, confirm_url(request.auth.pk, grant.request)) from None


def _credential(
    request: ApiRequest, grant_id: UUID, make: Callable[..., Credential]
) -> dict[str, Any]:
    grant = own_grant(request, grant_id)
    credential = make_credential(request, grant, make)
    integration = grant.integration
    lines = connection_lines_of(credential, grant)
    return {
        "grant_id": grant.pk,
        "integration_kind": integration.kind if integration else "",
        "host": credential.host,
        "port": credential.port,
        "database": credential.resource,
        "user": credential.user,
        "password": credential.password,
        "certificate": credential.certificate,
        "known_hosts": credential.known_hosts,
        "sslmode": integration.sslmode if integration else "",
        "command": lines[0].text if lines else "",
    }
