"""My Access, My Requests, and the page of one request with its actions."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accessflows.connectors.protocol import Credential
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from mfa.exceptions import WindowClosed
from requests_app.approvals.selectors import rights_of
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.credentials import reset_credential, reveal_credential
from requests_app.grants.revocation import cancel_request, revoke_access
from requests_app.grants.target_access import connection_lines_of
from requests_app.models import AccessRequest, Grant, WorkerHeartbeat
from requests_app.presenters.request import progress_token, request_page, request_rows
from requests_app.presenters.timeline import timeline_of
from requests_app.selectors import access_overview, events_of, own_requests, request_details
from requests_app.views.responses import conflict_response, sentence_of, verify_for_request

if TYPE_CHECKING:
    from apono_portal.users.models import User

PAGE_SIZE = 25


@require_GET
def my_access(request: PortalRequest) -> HttpResponse:
    now = timezone.now()
    overview = access_overview(request.user)
    context = {
        "active": request_rows(overview.active, request.user, now),
        "pending": request_rows(overview.pending, request.user, now),
        "recent": request_rows(overview.recent, request.user, now),
        "progress": progress_token([*overview.active, *overview.pending]),
    }
    return render(request, "requests_app/my_access.html", context)


@require_GET
def my_requests(request: PortalRequest) -> HttpResponse:
    page = Paginator(own_requests(request.user), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = request_rows(page.object_list, request.user, timezone.now())
    return render(request, "requests_app/my_requests.html", {"page": page, "rows": rows})


@require_GET
@never_cache
def detail(request: PortalRequest, pk: int) -> HttpResponse:
    context = _page_context(request, get_visible_request(request, pk))
    return render(request, "requests_app/detail.html", context)


@require_POST
def reveal(request: PortalRequest, pk: int) -> HttpResponse:
    """Respond with the credential, which is in this one response and nowhere else."""
    return _show_credential(request, pk, reveal_credential)


@require_POST
def reset(request: PortalRequest, pk: int) -> HttpResponse:
    """Respond with a new credential; the one shown before stops working."""
    return _show_credential(request, pk, reset_credential)


def _show_credential(
    request: PortalRequest, pk: int, make_credential: Callable[..., Credential]
) -> HttpResponse:
    grant = _own_grant(request, get_visible_request(request, pk))
    try:
        credential = make_credential(
            actor=request.user,
            grant=grant,
            window=request.mfa.window,
            client_info=ClientInfo.of(request),
        )
    except WindowClosed as error:
        messages.info(request, sentence_of(error, "Verify, then reveal the credential."))
        return verify_for_request(request, grant.request)
    except (Conflict, RequestRefused) as refusal:
        return conflict_response(request, refusal.sentence, grant.request)
    context = _page_context(request, get_visible_request(request, pk)) | {
        "credential": credential,
        "connection_lines": connection_lines_of(credential, grant),
        "revealed_grant": grant.pk,
        "progress": "",
    }
    response = render(request, "requests_app/detail.html", context)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def revoke(request: PortalRequest, pk: int) -> HttpResponse:
    access_request = get_visible_request(request, pk)
    try:
        revoke_access(
            actor=request.user, request=access_request, client_info=ClientInfo.of(request)
        )
    except (Conflict, RequestRefused) as refusal:
        return conflict_response(request, refusal.sentence, access_request)
    messages.success(
        request, f"{access_request.reference} is being revoked. Open sessions are terminated."
    )
    return redirect("requests:detail", pk=pk)


@require_POST
def cancel(request: PortalRequest, pk: int) -> HttpResponse:
    access_request = get_visible_request(request, pk)
    try:
        cancel_request(
            actor=request.user, request=access_request, client_info=ClientInfo.of(request)
        )
    except (Conflict, RequestRefused) as refusal:
        return conflict_response(request, refusal.sentence, access_request)
    messages.success(request, f"{access_request.reference} was cancelled.")
    return redirect("requests:detail", pk=pk)


def get_visible_request(request: PortalRequest, pk: int) -> AccessRequest:
    """Return a request the user may see; for everyone else it does not exist."""
    access_request = request_details(request.user, pk)
    if access_request is None:
        raise Http404
    return access_request


def _own_grant(request: PortalRequest, access_request: AccessRequest) -> Grant:
    """Return the grant named in the form, or the only one, of the user's own request."""
    if access_request.requester_id != request.user.pk:
        raise Http404
    grant_id = request.POST.get("grant", "")
    grants = [
        grant for grant in access_request.grants.all() if str(grant.pk) == grant_id or not grant_id
    ]
    if len(grants) != 1:
        raise Http404
    return grants[0]


def _page_context(request: PortalRequest, access_request: AccessRequest) -> dict[str, object]:
    progress = progress_token([access_request])
    return {
        "page": request_page(access_request, request.user, timezone.now()),
        "progress": progress,
        "waits_for_worker": progress
        and not WorkerHeartbeat.objects.running(timezone.now()).exists(),
        "list_page": _list_page(request.user, access_request),
        "rights": rights_of(access_request),
        "timeline": timeline_of(events_of(access_request), request.user),
    }


def _list_page(viewer: "User", access_request: AccessRequest) -> str:
    """Return the name of the page that lists this request for the viewer."""
    if access_request.requester_id == viewer.pk:
        return "requests:list"
    return "requests:activity" if viewer.can_read_everything else "requests:approvals"
