"""One's own access and requests, and the page of one request."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accessflows.connectors.protocol import Credential
from accessflows.models import Integration
from apono_portal.core.web.client import ClientInfo
from mfa.exceptions import WindowClosed
from requests_app.approvals.selectors import rights_of
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.credentials import reset_credential, reveal_credential
from requests_app.grants.ending import cancel_request, revoke_access
from requests_app.grants.psql import options_of, psql_command
from requests_app.models import AccessRequest, Grant
from requests_app.presenters.request import moving_mark, page_of, rows_of
from requests_app.presenters.timeline import timeline_of
from requests_app.selectors import access_of, events_of, read_targets, request_in_full
from requests_app.views.responses import conflict, to_step_up

PAGE_SIZE = 25


@require_GET
def my_access(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    found = access_of(request.user)
    context: dict[str, Any] = {
        name: rows_of(requests, request.user, now) for name, requests in found.items()
    }
    context["moving"] = moving_mark([*found["in_use"], *found["under_way"]])
    return render(request, "requests_app/my_access.html", context)


@require_GET
def my_requests(request: HttpRequest) -> HttpResponse:
    own = AccessRequest.objects.of(request.user)
    page = Paginator(own, PAGE_SIZE).get_page(request.GET.get("page"))
    listed = list(page.object_list)
    read_targets(listed)
    rows = rows_of(listed, request.user, timezone.now())
    return render(request, "requests_app/my_requests.html", {"page": page, "rows": rows})


@require_GET
@never_cache
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "requests_app/detail.html", _page(request, find(request, pk)))


@require_POST
def reveal(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer with the credential itself: it is in this one reply and nowhere else."""
    return _show(request, pk, reveal_credential)


@require_POST
def reset(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer with a new credential; the one that was shown before is dead."""
    return _show(request, pk, reset_credential)


def _show(request: HttpRequest, pk: int, make: Callable[..., Credential]) -> HttpResponse:
    grant = _grant(request, find(request, pk))
    try:
        credential = make(
            actor=request.user,
            grant=grant,
            window=request.mfa.window,  # type: ignore[attr-defined]
            client_info=ClientInfo.of(request),
        )
    except WindowClosed:
        messages.info(request, "Enter a code, then reveal the credential.")
        return to_step_up(request, grant.request)
    except (Conflict, RequestRefused) as refused:
        return conflict(request, refused.sentence, grant.request)
    context = _page(request, find(request, pk))
    integration = grant.integration
    is_psql = integration is None or integration.kind == Integration.Kind.POSTGRESQL
    sslmode = integration.sslmode if integration else ""
    context |= {"credential": credential, "shown": grant.pk, "moving": ""}
    command = psql_command(credential, sslmode=sslmode) if is_psql else ""
    context["command"] = options_of(command) if command else []
    response = render(request, "requests_app/detail.html", context)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    found = find(request, pk)
    try:
        revoke_access(actor=request.user, request=found, client_info=ClientInfo.of(request))
    except (Conflict, RequestRefused) as refused:
        return conflict(request, refused.sentence, found)
    messages.success(request, f"{found.reference} is ending. Open sessions are closed.")
    return redirect("requests:detail", pk=pk)


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    found = find(request, pk)
    try:
        cancel_request(actor=request.user, request=found, client_info=ClientInfo.of(request))
    except (Conflict, RequestRefused) as refused:
        return conflict(request, refused.sentence, found)
    messages.success(request, f"{found.reference} was cancelled.")
    return redirect("requests:detail", pk=pk)


def find(request: HttpRequest, pk: int) -> AccessRequest:
    """Return a request the person may see; to everybody else there is none."""
    found = request_in_full(request.user, pk)
    if found is None:
        raise Http404
    return found


def _grant(request: HttpRequest, found: AccessRequest) -> Grant:
    """Return the grant named in the form, or the only one, of one's own request."""
    if found.requester_id != request.user.pk:
        raise Http404
    wanted = request.POST.get("grant", "")
    grants = list(found.grants.all())
    chosen = [grant for grant in grants if str(grant.pk) == wanted or not wanted]
    if len(chosen) != 1:
        raise Http404
    return chosen[0]


def _page(request: HttpRequest, found: AccessRequest) -> dict[str, Any]:
    page = page_of(found, request.user, timezone.now())
    return {
        "page": page,
        "moving": page.moving,
        "found_in": _found_in(request.user, found),
        "rights": rights_of(found),
        "timeline": timeline_of(events_of(found), request.user),
    }


def _found_in(viewer: Any, found: AccessRequest) -> str:
    """Return the name of the page that lists such a request for this person."""
    if found.requester_id == viewer.pk:
        return "requests:list"
    return "requests:activity" if viewer.can_read_everything else "requests:approvals"
