"""The inventory, and the caller's own requests."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpResponse
from django.utils import timezone
from ninja import Header, Router
from ninja.responses import Status as HttpStatus

from accessflows.flows.catalog import filter_targets, requestable_targets
from accessflows.flows.policies import FlowApprovers, approvers_of
from accessflows.models import AccessFlow
from apono_portal.api.authentication import ApiRequest, BearerToken, client_of
from apono_portal.api.etags import IfMatch, require_match, with_etag
from apono_portal.api.idempotency import once
from apono_portal.api.problems import CHANGES, ERRORS, MATCHED_CHANGES, Problem, mfa_problem
from apono_portal.api.scopes import Scope
from apono_portal.api.tokens.selectors import confirmed_window, requests_of
from apono_portal.api.v1 import schemas
from apono_portal.api.v1.descriptions import (
    confirm_url,
    describe_request,
    describe_request_in_full,
    describe_target,
    step_up_url,
)
from apono_portal.core.db.keyset import page_of
from apono_portal.core.formatting.durations import format_duration
from apono_portal.core.web.absolute_urls import absolute_url
from mfa.exceptions import OwnVerificationRequired, WindowClosed
from mfa.methods.selectors import is_enrolled
from requests_app.exceptions import Conflict
from requests_app.forms import RequestForm
from requests_app.grants.extension import extend_access
from requests_app.grants.revocation import cancel_request, revoke_access
from requests_app.lifecycle import lock_request
from requests_app.models import AccessRequest, Status
from requests_app.policies import can_request_again
from requests_app.selectors import request_details
from requests_app.submission.evaluation import Evaluation, evaluate_all
from requests_app.submission.preview import preview_lines
from requests_app.submission.selection import Selection, parse_selection, selection_of_request
from requests_app.submission.services import submit_requests

if TYPE_CHECKING:
    from apono_portal.users.models import User

router = Router()
PAGE_SIZE = 50
Result = dict[str, Any]
Key = Annotated[schemas.IdempotencyKey, Header(None, alias="Idempotency-Key")]


@dataclass(frozen=True)
class NoWindow:
    """The verified window of a token: never open."""

    enrolled: bool
    minutes_left: int = 0


@router.get(
    "/inventory",
    auth=BearerToken(Scope.INVENTORY_READ),
    response={200: schemas.InventoryOut, ERRORS: schemas.ProblemOut},
    tags=["Inventory"],
    summary="List what you may request",
)
def list_inventory(
    request: ApiRequest,
    q: schemas.Filter = "",
    flow: schemas.Filter = "",
    integration: schemas.Filter = "",
    resource: schemas.Filter = "",
    permission: schemas.Filter = "",
    page: schemas.PageNumber = 1,
) -> Result:
    """Every word of ``q`` must occur; the other filters are exact names."""
    names = {
        "flow": flow,
        "integration": integration,
        "resource": resource,
        "permission": permission,
    }
    requestable = requestable_targets(request.auth.user)
    if request.auth.is_agent:
        requestable = requestable.exclude(flow__agents=AccessFlow.Agents.NONE)
    targets = filter_targets(requestable, words=q, names=names)
    pages = Paginator(targets, PAGE_SIZE)
    if page > pages.num_pages:
        return {"items": [], "next_page": None}
    shown = pages.page(page)
    return {
        "items": [describe_target(target) for target in shown],
        "next_page": page + 1 if shown.has_next() else None,
    }


@router.post(
    "/requests/dry-run",
    auth=BearerToken(Scope.INVENTORY_READ),
    response={200: schemas.DryRunOut, ERRORS: schemas.ProblemOut},
    tags=["Requests"],
    summary="Preview a request",
)
def dry_run(request: ApiRequest, body: schemas.DryRunIn) -> Result:
    """Evaluate a request as New Request does, and create nothing."""
    user, now = request.auth.user, timezone.now()
    selection = _selection(user, body.targets, body.duration, body.justification, body.ticket)
    evaluations = evaluate_all(
        requester=user,
        selections=selection.per_flow(),
        verification=None,
        now=now,
        by_agent=request.auth.is_agent,
    )
    approvers = approvers_of(evaluation.flow for evaluation in evaluations if evaluation.flow)
    window = NoWindow(is_enrolled(user.pk))
    return {
        "requests": [_preview(one, approvers, user, window) for one in evaluations],
    }


@router.post(
    "/requests",
    auth=BearerToken(Scope.REQUESTS_WRITE),
    response={201: schemas.SubmittedOut, CHANGES: schemas.ProblemOut},
    tags=["Requests"],
    summary="Request access",
)
def create_requests(
    request: ApiRequest,
    body: schemas.RequestIn,
    idempotency_key: Key = None,
) -> HttpStatus[Result]:
    """Create one request for each flow of the targets, all or none.

    A request through a flow that requires MFA is Pending MFA: open its ``step_up_url`` in a browser.
    """

    def act() -> Result:
        selection = _selection(
            request.auth.user, body.targets, body.duration, body.justification, body.ticket
        )
        return _submit(request, selection)

    return HttpStatus(201, once(request, idempotency_key, act))


@router.get(
    "/requests",
    auth=BearerToken(Scope.REQUESTS_READ),
    response={200: schemas.RequestPageOut, ERRORS: schemas.ProblemOut},
    tags=["Requests"],
    summary="List your requests",
)
def list_requests(
    request: ApiRequest, status: Status | None = None, cursor: schemas.Cursor = None
) -> Result:
    """Newest first. Pass ``next_cursor`` as ``cursor`` for the next page."""
    requests = requests_of(request.auth)
    if status is not None:
        requests = requests.filter(status=status)
    page = page_of(requests, before=cursor, after=None)
    return {
        "items": [describe_request(listed) for listed in page.rows],
        "next_cursor": page.older_than,
    }


@router.get(
    "/requests/{request_id}",
    auth=BearerToken(Scope.REQUESTS_READ),
    response={200: schemas.RequestDetailOut, ERRORS: schemas.ProblemOut},
    tags=["Requests"],
    summary="Read a request",
)
def read_request(request: ApiRequest, response: HttpResponse, request_id: schemas.Id) -> Result:
    """Your own, one you may decide on or, for admins and auditors, anybody's."""
    return with_etag(response, describe_visible(request, request_id))


@router.post(
    "/requests/{request_id}/cancel",
    auth=BearerToken(Scope.REQUESTS_WRITE),
    response={200: schemas.RequestOut, MATCHED_CHANGES: schemas.ProblemOut},
    tags=["Requests"],
    summary="Cancel a request that is not active",
)
def cancel(request: ApiRequest, request_id: schemas.Id, if_match: IfMatch = None) -> Result:
    with transaction.atomic():
        access_request = _matching_request(request, request_id, if_match)
        cancel_request(
            actor=request.auth.user, request=access_request, client_info=client_of(request)
        )
    return describe_request(visible_request(request, request_id))


@router.post(
    "/requests/{request_id}/revoke",
    auth=BearerToken(Scope.REQUESTS_WRITE),
    response={200: schemas.RequestOut, MATCHED_CHANGES: schemas.ProblemOut},
    tags=["Requests"],
    summary="Revoke access now",
)
def revoke(request: ApiRequest, request_id: schemas.Id, if_match: IfMatch = None) -> Result:
    with transaction.atomic():
        access_request = _matching_request(request, request_id, if_match)
        revoke_access(
            actor=request.auth.user, request=access_request, client_info=client_of(request)
        )
    return describe_request(visible_request(request, request_id))


@router.post(
    "/requests/{request_id}/extend",
    auth=BearerToken(Scope.REQUESTS_WRITE),
    response={200: schemas.RequestOut, MATCHED_CHANGES: schemas.ProblemOut},
    tags=["Requests"],
    summary="Extend active access",
)
def extend(
    request: ApiRequest, request_id: schemas.Id, body: schemas.ExtendIn, if_match: IfMatch = None
) -> Result:
    """Apply the flow's next extension. Protected access needs your confirmation at ``step_up_url``."""
    access_request = visible_request(request, request_id)
    # The service compares status and extensions used again, under the lock.
    require_match(if_match, describe_request_in_full(access_request))
    try:
        extend_access(
            actor=request.auth.user,
            request=access_request,
            used=body.extensions_used,
            window=confirmed_window(request.auth, access_request),
            client_info=client_of(request),
        )
    except OwnVerificationRequired as refusal:
        raise mfa_problem(refusal, absolute_url("requests:detail", access_request.pk)) from None
    except WindowClosed as refusal:
        raise mfa_problem(refusal, confirm_url(request.auth.pk, access_request)) from None
    return describe_request(visible_request(request, request_id))


@router.post(
    "/requests/{request_id}/again",
    auth=BearerToken(Scope.REQUESTS_WRITE),
    response={201: schemas.SubmittedOut, CHANGES: schemas.ProblemOut},
    tags=["Requests"],
    summary="Request the same again",
)
def request_again(
    request: ApiRequest,
    request_id: schemas.Id,
    body: schemas.AgainIn,
    idempotency_key: Key = None,
) -> HttpStatus[Result]:
    """Request what a finished request of yours was for, with a new justification."""
    user = request.auth.user

    def act() -> Result:
        original = requests_of(request.auth).filter(pk=request_id).first()
        if original is None:
            raise Http404
        if not can_request_again(original, user):
            raise Conflict(f"{original.reference} is not over yet.")
        selection = selection_of_request(original, user)
        longest = min([original.duration, *(flow.max_duration for flow in selection.flows)])
        text = (body.justification, body.ticket or original.ticket)
        completed = _completed(selection, format_duration(longest), *text)
        return _submit(request, replace(completed, duration=longest))

    return HttpStatus(201, once(request, idempotency_key, act))


def visible_request(request: ApiRequest, pk: int) -> AccessRequest:
    """Return a request the caller may see; for everyone else it does not exist."""
    access_request = request_details(request.auth.user, pk)
    if access_request is None or not request.auth.may_see(access_request):
        raise Http404
    return access_request


def describe_visible(request: ApiRequest, pk: int) -> Result:
    return describe_request_in_full(visible_request(request, pk))


def _matching_request(request: ApiRequest, pk: int, if_match: str | None) -> AccessRequest:
    """Return a request the caller may see. With ``if_match``, it is locked and as the caller read it."""
    access_request = visible_request(request, pk)
    if if_match is not None:
        lock_request(pk)
        access_request = visible_request(request, pk)
        require_match(if_match, describe_request_in_full(access_request))
    return access_request


def _selection(
    user: "User", targets: list[int], duration: str, justification: str | None, ticket: str
) -> Selection:
    selection = parse_selection(user, map(str, targets))
    return _completed(selection, duration, justification, ticket)


def _completed(
    selection: Selection, duration: str, justification: str | None, ticket: str
) -> Selection:
    """Return the selection with what was written, parsed by the form of New Request."""
    if selection.error or not selection.targets:
        sentence = selection.error or "None of these targets is available to you."
        raise Problem(422, "refused", sentence, {"field": "targets"})
    data = {"duration": duration, "justification": justification or "", "ticket": ticket}
    form = RequestForm(data, needs_justification=False)
    if not form.is_valid():
        errors = [
            {"where": name, "message": str(message)}
            for name, messages in form.errors.items()
            for message in messages
        ]
        raise Problem(422, "invalid", errors[0]["message"], {"errors": errors})
    completed = replace(selection, **form.cleaned_data)
    return replace(completed, justification=None) if justification is None else completed


def _submit(request: ApiRequest, selection: Selection) -> Result:
    created = submit_requests(
        actor=request.auth.user,
        selection=selection,
        window=None,
        client_info=client_of(request),
    )
    urls = [url for one in created if (url := step_up_url(one))]
    return {
        "requests": [describe_request(one) for one in created],
        "step_up_url": urls[0] if urls else None,
    }


def _preview(
    evaluation: Evaluation, approvers: dict[int, FlowApprovers], user: "User", window: NoWindow
) -> Result:
    selection = evaluation.selection
    flow = evaluation.flow or selection.flows[0]
    of_flow = approvers.get(flow.pk, FlowApprovers())
    lines = preview_lines(evaluation, of_flow, user, window, timezone.now())
    return {
        "flow_id": flow.pk,
        "flow": flow.name,
        "targets": [target.label for target in evaluation.targets],
        "duration_s": int(selection.duration.total_seconds()),
        "max_duration_s": int(flow.max_duration.total_seconds()) if evaluation.flow else None,
        "status": evaluation.status,
        "needs_verification": evaluation.needs_verification,
        "refusals": [
            {"field": refusal.field, "detail": refusal.sentence} for refusal in evaluation.refusals
        ],
        "steps": [{"title": line.title, "detail": line.detail} for line in lines],
    }
