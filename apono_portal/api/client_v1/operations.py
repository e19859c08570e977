"""The operations that the client calls, under ``/api/client/v1/``."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import NinjaAPI, Query, Router, Schema
from ninja.responses import Status as HttpStatus
from pydantic import Field

from accessflows.flows.catalog import requestable_targets
from accessflows.models import AccessFlow, FlowTarget, Integration, Permission, Resource
from apono_portal.api.authentication import ApiRequest, BearerToken, client_of
from apono_portal.api.client_v1 import shapes
from apono_portal.api.client_v1.shapes import Shape
from apono_portal.api.models import ApiToken, StoredResponse
from apono_portal.api.problems import Problem, mfa_problem, problem_of, refusals
from apono_portal.api.scopes import Scope
from apono_portal.api.tokens.selectors import confirmed_window
from apono_portal.api.v1.access import make_credential, own_grant
from apono_portal.api.v1.descriptions import confirm_url
from apono_portal.api.v1.requests import visible_request
from apono_portal.api.v1.schemas import Filter, LongText, ShortText
from apono_portal.core.web.absolute_urls import absolute_url
from mfa.exceptions import WindowClosed
from mfa.methods.selectors import is_enrolled
from requests_app.grants.credentials import reset_credential, reveal_credential
from requests_app.grants.extension import extend_access
from requests_app.grants.revocation import cancel_request, revoke_access
from requests_app.models import PENDING, AccessRequest, Grant, GrantState, Status
from requests_app.selectors import own_requests, pending_mfa_requests
from requests_app.submission.evaluation import evaluate_all
from requests_app.submission.selection import MAX_ID_DIGITS, MAX_TARGETS, Selection
from requests_app.submission.services import submit_requests

MAX_LIMIT, MAX_SKIP = 1000, 10_000
DEFAULT_DURATION_S = 3600
MAX_DURATION_S = 366 * 24 * 3600

router = Router()
Limit = Annotated[int, Field(ge=1, le=2**31 - 1)]
Skip = Annotated[int, Field(ge=0, le=2**31 - 1)]
Row = TypeVar("Row", bound=Model)
Ids = Annotated[list[ShortText], Field(max_length=1000)]


class PersonalToken(BearerToken):
    """Authentication by any token but an AI agent's: agents have `/mcp` and the API."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        api_token = super().authenticate(request, token)
        if api_token is not None and api_token.is_agent:
            raise Problem(403, "not_for_agents", "AI agents use /mcp or /api/v1.")
        return api_token


class ResourceFilter(Schema):
    type: str
    value: ShortText


class CreateIn(Schema):
    """What the client selects. Fields that the portal does not know are left out, as it sends some."""

    filter_integration_ids: Ids = []
    filter_bundle_ids: Ids = []
    filter_resource_type_ids: Ids = []
    filter_resource_ids: Ids = []
    filter_resources: Annotated[list[ResourceFilter], Field(max_length=1000)] = []
    filter_permission_ids: Ids = []
    filter_access_unit_ids: Ids = []
    justification: LongText | None = None
    duration_in_sec: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None


class InventoryQuery(Schema):
    integration_id: Filter = Field("", alias="integration-id")
    resource_type_id: Annotated[list[Filter], Field(max_length=100)] = Field(
        [], alias="resource-type-id"
    )
    source_id: Annotated[list[Filter], Field(max_length=100)] = Field([], alias="source-id")
    search: Filter | None = None
    limit: Limit = MAX_LIMIT
    skip: Skip = 0


class SessionQuery(Schema):
    integration_id: Annotated[list[Filter], Field(max_length=100)] = []
    bundle_id: Annotated[list[Filter], Field(max_length=100)] = []
    request_id: Annotated[list[Filter], Field(max_length=100)] = []
    limit: Limit = 100
    skip: Skip = 0


@router.get("/session", auth=PersonalToken())
def read_session(request: ApiRequest) -> Shape:
    uses_mfa = AccessFlow.objects.active().requiring_mfa().exists()
    return shapes.session_shape(request.auth.user, uses_mfa=uses_mfa)


@router.get("/session/is-mfa-enrolled", auth=PersonalToken())
def read_enrolment(request: ApiRequest) -> Shape:
    return {"is_mfa_enrolled": is_enrolled(request.auth.user.pk)}


@router.get("/cli-notifications", auth=PersonalToken())
def list_notifications(request: ApiRequest) -> Shape:
    return {"notifications": []}


@router.post("/analytics", auth=PersonalToken(), response={201: None})
def discard_analytics(request: ApiRequest) -> HttpStatus[None]:
    """Accept what the client reports of its use, and keep nothing."""
    return HttpStatus(201, None)


@router.get("/inventory/integrations", auth=PersonalToken(Scope.INVENTORY_READ))
def list_integrations(request: ApiRequest, query: Query[InventoryQuery]) -> Shape:
    ids = _requestable(request).values("resource__integration")
    rows = Integration.objects.filter(pk__in=ids).order_by("name")
    return _page(_named(rows, query.search), query, shapes.integration_shape)


@router.get("/inventory/bundles", auth=PersonalToken(Scope.INVENTORY_READ))
def list_bundles(request: ApiRequest, query: Query[InventoryQuery]) -> Shape:
    """The portal has no bundles."""
    return shapes.page_of_shapes([], limit=_limit(query.limit), skip=query.skip)


@router.get("/inventory/resource-types", auth=PersonalToken(Scope.INVENTORY_READ))
def list_resource_types(request: ApiRequest, query: Query[InventoryQuery]) -> Shape:
    targets = _in_integration(_requestable(request), query.integration_id)
    ids = targets.values("resource__integration")
    kinds = {one.kind: one for one in Integration.objects.filter(pk__in=ids)}
    types = [shapes.resource_type_shape(kinds[kind]) for kind in sorted(kinds)]
    return shapes.page_of_shapes(types[query.skip :], limit=_limit(query.limit), skip=query.skip)


@router.get("/inventory/resources", auth=PersonalToken(Scope.INVENTORY_READ))
def list_resources(request: ApiRequest, query: Query[InventoryQuery]) -> Shape:
    targets = _in_integration(_requestable(request), query.integration_id)
    rows = Resource.objects.filter(pk__in=targets.values("resource")).order_by("name", "pk")
    if query.source_id:
        rows = rows.filter(name__in=query.source_id)
    rows = rows.select_related("integration")
    return _page(_named(rows, query.search), query, shapes.resource_shape)


@router.get("/inventory/permissions", auth=PersonalToken(Scope.INVENTORY_READ))
def list_permissions(request: ApiRequest, query: Query[InventoryQuery]) -> Shape:
    targets = _in_integration(_requestable(request), query.integration_id)
    rows = Permission.objects.filter(pk__in=targets.values("permission")).order_by("name", "pk")
    return _page(_named(rows, query.search), query, shapes.permission_shape)


@router.post("/access-requests/dry-run", auth=PersonalToken(Scope.INVENTORY_READ))
def dry_run(request: ApiRequest, body: CreateIn) -> Shape:
    """Say what of the justification and the duration would be refused."""
    selection = _selection(request, body)
    evaluations = evaluate_all(
        requester=request.auth.user,
        selections=selection.per_flow(),
        verification=None,
        now=timezone.now(),
    )
    shortest = min((flow.max_duration for flow in selection.flows), default=timedelta(0))
    maximum = int(shortest.total_seconds())
    errors = [
        _dry_run_error(refusal.field, refusal.sentence, maximum)
        for evaluation in evaluations
        for refusal in evaluation.refusals
    ]
    return {
        "status": "invalid" if errors else "valid",
        "errors": errors,
        "max_duration_in_sec": maximum,
    }


@router.post("/access-requests/pass-mfa", auth=PersonalToken(Scope.REQUESTS_WRITE))
def pass_mfa(request: ApiRequest) -> None:
    """Refuse: a code is entered in a browser and nowhere else. The body is not even read."""
    pending = pending_mfa_requests(request.auth.user)
    if not pending:
        raise Problem(409, "conflict", "No request of yours is waiting for MFA.")
    url = f"{absolute_url('requests:step_up')}?request={pending[-1].pk}"
    raise mfa_problem(WindowClosed(), url)


@router.post("/access-requests", auth=PersonalToken(Scope.REQUESTS_WRITE))
def create_request(request: ApiRequest, body: CreateIn) -> Shape:
    created = submit_requests(
        actor=request.auth.user,
        selection=_selection(request, body),
        window=None,
        client_info=client_of(request),
    )
    waiting = [one for one in created if one.status == Status.PENDING_MFA]
    message = ""
    if waiting:
        message = f"Verify at {absolute_url('requests:step_up')}?request={waiting[0].pk}"
    return {"request_ids": [one.reference for one in created], "message": message}


@router.get("/access-requests", auth=PersonalToken(Scope.REQUESTS_READ))
def list_requests(
    request: ApiRequest, scope: Filter = "MyRequests", limit: Limit = 100, skip: Skip = 0
) -> Shape:
    """List the user's own requests, newest first. Other scopes are pages of the portal."""
    own = own_requests(request.auth.user) if scope == "MyRequests" else AccessRequest.objects.none()
    rows = own.prefetch_related("targets__integration", "decisions")
    limit = _checked(limit, skip)
    listed = [shapes.request_shape(one) for one in rows[skip : skip + limit]]
    return shapes.page_of_shapes(listed, limit=limit, skip=skip)


@router.get("/access-requests/{request_id}", auth=PersonalToken(Scope.REQUESTS_READ))
def read_request(request: ApiRequest, request_id: Filter) -> Shape:
    return shapes.request_shape(_visible(request, request_id))


@router.post("/access-requests/{request_id}/revoke", auth=PersonalToken(Scope.REQUESTS_WRITE))
def revoke(request: ApiRequest, request_id: Filter) -> Shape:
    """Revoke access, or cancel a request that is not active yet."""
    access_request = _visible(request, request_id)
    end = cancel_request if access_request.status in PENDING else revoke_access
    end(actor=request.auth.user, request=access_request, client_info=client_of(request))
    return {"message": f"{access_request.reference} is being revoked."}


@router.post("/access-requests/{request_id}/extend", auth=PersonalToken(Scope.REQUESTS_WRITE))
def extend(request: ApiRequest, request_id: Filter) -> Shape:
    access_request = _visible(request, request_id)
    try:
        extend_access(
            actor=request.auth.user,
            request=access_request,
            used=access_request.extensions_used,
            window=confirmed_window(request.auth, access_request),
            client_info=client_of(request),
        )
    except WindowClosed as refusal:
        raise mfa_problem(refusal, confirm_url(request.auth.pk, access_request)) from None
    return {"message": f"{access_request.reference} was extended."}


@router.get("/access-groups/{group_id}/units", auth=PersonalToken(Scope.REQUESTS_READ))
def list_units(request: ApiRequest, group_id: Filter, limit: Limit = 100, skip: Skip = 0) -> Shape:
    number, _, name = group_id.partition(":")
    access_request = _visible(request, number)
    limit = _checked(limit, skip)
    units = access_request.targets.filter(integration_name=name).select_related("integration")
    if not units:
        raise Http404
    listed = [shapes.unit_shape(target) for target in units[skip : skip + limit]]
    return shapes.page_of_shapes(listed, limit=limit, skip=skip)


@router.get("/access-sessions", auth=PersonalToken(Scope.ACCESS_READ))
def list_sessions(request: ApiRequest, query: Query[SessionQuery]) -> Shape:
    grants = Grant.objects.filter(
        request__requester=request.auth.user,
        request__status=Status.ACTIVE,
        state=GrantState.ACTIVE,
        deadline__gt=timezone.now(),
    )
    if query.bundle_id:
        grants = grants.none()
    if query.integration_id:
        grants = grants.filter(integration__in=[_number(text) for text in query.integration_id])
    if query.request_id:
        grants = grants.filter(request__in=[_request_number(text) for text in query.request_id])
    limit = _checked(query.limit, query.skip)
    rows = grants.select_related("integration")[query.skip : query.skip + limit]
    listed = [shapes.access_session_shape(grant, is_new=_is_new(request, grant)) for grant in rows]
    return shapes.page_of_shapes(listed, limit=limit, skip=query.skip)


@router.get("/access-sessions/{session_id}", auth=PersonalToken(Scope.ACCESS_READ))
def read_session_of_access(request: ApiRequest, session_id: UUID) -> Shape:
    grant = own_grant(request, session_id)
    return shapes.access_session_shape(grant, is_new=_is_new(request, grant))


@router.get("/access-sessions/{session_id}/access-details", auth=PersonalToken(Scope.ACCESS_REVEAL))
def read_details(request: ApiRequest, session_id: UUID) -> Shape:
    """Reveal a credential that is new, once."""
    grant = own_grant(request, session_id)
    if not _is_new(request, grant):
        return shapes.details_shape(grant, None)
    is_reset = grant.revealed_at is not None
    credential = make_credential(
        request, grant, reset_credential if is_reset else reveal_credential
    )
    _resets(request, grant).delete()
    return shapes.details_shape(grant, credential)


@router.post(
    "/access-sessions/{session_id}/reset-credentials", auth=PersonalToken(Scope.ACCESS_REVEAL)
)
def reset(request: ApiRequest, session_id: UUID) -> Shape:
    """Make the old password useless. The next reading of the details makes the one that is shown."""
    grant = own_grant(request, session_id)
    make_credential(request, grant, reset_credential)
    _resets(request, grant).get_or_create(token=request.auth, key=_reset_key(grant))
    return {"message": "The credentials were reset."}


def _selection(request: ApiRequest, body: CreateIn) -> Selection:
    """Return the targets that match every filter that was set."""
    ids = [*body.filter_resource_ids]
    ids += [one.value for one in body.filter_resources if one.type == "id"]
    terms = [one.value for one in body.filter_resources if one.type != "id"]
    filters = {
        "resource__integration__in": [_number(text) for text in body.filter_integration_ids],
        "resource__in": [_number(text) for text in ids],
        "permission__in": [_number(text) for text in body.filter_permission_ids],
        "pk__in": [_number(text) for text in body.filter_access_unit_ids],
    }
    targets = _requestable(request).filter(**{key: pks for key, pks in filters.items() if pks})
    for term in terms:
        targets = targets.filter(resource__name__icontains=term)
    if body.filter_bundle_ids or not any([*filters.values(), terms]):
        targets = targets.none()
    duration_s = body.duration_in_sec or DEFAULT_DURATION_S
    if duration_s > MAX_DURATION_S:
        raise Problem(422, "refused", "The duration is too long.")
    chosen = shapes.choose_targets(targets.select_related("flow"), duration_s)
    if not chosen:
        raise Problem(422, "refused", "Nothing that you may request matches this selection.")
    if len(chosen) > MAX_TARGETS:
        raise Problem(422, "refused", f"Select at most {MAX_TARGETS} at once.")
    selection = Selection(chosen, timedelta(seconds=duration_s))
    return replace(selection, justification=body.justification or "")


def _dry_run_error(field: str, sentence: str, maximum: int) -> Shape:
    if field == "duration":
        details = {"max_duration": maximum}
        code, field = "INVALID_DURATION", "duration_in_sec"
    else:
        code, details = "FIELD_MISSING", {}
    return {"code": code, "field": field, "message": sentence, "details": details}


def _requestable(request: ApiRequest) -> QuerySet[FlowTarget]:
    """Return what may be requested, without break-glass: the client could not say that it is."""
    targets = requestable_targets(request.auth.user).filter(flow__break_glass=False)
    return targets.prefetch_related(None).order_by()


def _in_integration(targets: QuerySet[FlowTarget], integration_id: str) -> QuerySet[FlowTarget]:
    if not integration_id:
        return targets
    return targets.filter(resource__integration=_number(integration_id))


def _named(rows: QuerySet[Row], search: str | None) -> QuerySet[Row]:
    return rows.filter(name__icontains=search) if search else rows


def _page(rows: Any, query: InventoryQuery, shape: Any) -> Shape:
    limit = _checked(query.limit, query.skip)
    listed = [shape(row) for row in rows[query.skip : query.skip + limit]]
    return shapes.page_of_shapes(listed, limit=limit, skip=query.skip)


def _limit(limit: int) -> int:
    return min(limit, MAX_LIMIT)


def _checked(limit: int, skip: int) -> int:
    """Return the limit that is applied; refuse a page so deep that it would be slow."""
    if skip > MAX_SKIP:
        raise Problem(422, "refused", f"Narrow the list: at most {MAX_SKIP:,} rows are skipped.")
    return _limit(limit)


def _number(text: str) -> int:
    """Return the key in an id; 0, which nothing has, for anything else."""
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS
    return int(text) if is_number else 0


def _request_number(text: str) -> int:
    return _number(text.upper().removeprefix("AR-"))


def _visible(request: ApiRequest, request_id: str) -> AccessRequest:
    return visible_request(request, _request_number(request_id))


def _is_new(request: ApiRequest, grant: Grant) -> bool:
    """Return whether reading the details yields a credential: not yet revealed, or just reset."""
    return grant.revealed_at is None or _resets(request, grant).exists()


def _resets(request: ApiRequest, grant: Grant) -> QuerySet[StoredResponse]:
    return StoredResponse.objects.filter(token=request.auth, key=_reset_key(grant))


def _reset_key(grant: Grant) -> str:
    return f"reset of {grant.pk}"


def answer_refusal(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """Answer a refusal. The client prints the body as it is, so the sentence comes first."""
    problem = problem_of(error if isinstance(error, Exception) else error())
    url = problem.extra.get("step_up_url", "")
    message = f"{problem.detail} {url}".strip()
    body = {"message": message, "code": problem.code, "status": problem.status, **problem.extra}
    return HttpResponse(
        json.dumps(body),
        status=problem.status,
        content_type="application/json",
        headers=problem.headers,
    )


api = NinjaAPI(urls_namespace="client_v1", docs_url=None, openapi_url=None)
for refusal in refusals():
    api.add_exception_handler(refusal, answer_refusal)
api.add_router("", router)
