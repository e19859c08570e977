"""The page of a login on a target: whose it is, and what became of it."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accessflows.models import Integration
from apono_portal.core.web.types import PortalRequest
from requests_app.grants.proof_text import proof_lines
from requests_app.selectors import grant_of_login, sessions_ended_with


@require_safe
def login(request: PortalRequest, name: str) -> HttpResponse:
    """For auditors and admins, and for the user it was created for."""
    grant = grant_of_login(request.user, name)
    if grant is None:
        raise Http404
    context = {
        "name": name,
        "grant": grant,
        "access_request": grant.request,
        "sessions": sessions_ended_with(grant),
        "proof": proof_lines(grant.proof),
        "mark_label": _mark_label(grant.integration),
    }
    return render(request, "requests_app/login.html", context)


def _mark_label(integration: Integration | None) -> str:
    kind = integration.connector_kind if integration else None
    return kind.mark_label if kind else "Mark"
