"""Access flows, integrations, users and groups, for admins and auditors; and who the caller is."""

from typing import Any, Literal, TypeVar

from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpResponse
from ninja import Router
from ninja.responses import Status as HttpStatus

from accessflows.flows.forms import FlowFilterForm
from accessflows.flows.selectors import flow_rows, integration_rows
from accessflows.models import AccessFlow
from apono_portal.api.authentication import ApiRequest, BearerToken, client_of
from apono_portal.api.etags import with_etag
from apono_portal.api.problems import ERRORS
from apono_portal.api.scopes import Scope
from apono_portal.api.tokens.services import revoke_token
from apono_portal.api.v1 import schemas
from apono_portal.api.v1.descriptions import describe_flow, describe_integrations
from apono_portal.core.web.absolute_urls import absolute_url
from apono_portal.users.directory import DirectoryFilter, directory_page
from apono_portal.users.models import Role, User
from apono_portal.users.selectors import group_rows, with_mfa_and_groups
from mfa.methods.selectors import is_enrolled
from mfa.verification.window import is_enrolled_user
from requests_app.selectors import pending_mfa_requests

router = Router()
PAGE_SIZE = 50
READ_FLOWS = BearerToken(Scope.FLOWS_READ, readers_only=True)
READ_USERS = BearerToken(Scope.USERS_READ, readers_only=True)
Result = dict[str, Any]
Row = TypeVar("Row", bound=Model)


@router.get(
    "/flows",
    auth=READ_FLOWS,
    response={200: schemas.FlowPageOut, ERRORS: schemas.ProblemOut},
    tags=["Flows"],
    summary="List access flows",
)
def list_flows(request: ApiRequest, q: schemas.Filter = "", page: schemas.PageNumber = 1) -> Result:
    flows = FlowFilterForm({"q": q}).apply(AccessFlow.objects.all())
    rows, next_page = _page(flow_rows(flows), page)
    return {"items": [describe_flow(flow) for flow in rows], "next_page": next_page}


@router.get(
    "/flows/{flow_id}",
    auth=READ_FLOWS,
    response={200: schemas.FlowOut, ERRORS: schemas.ProblemOut},
    tags=["Flows"],
    summary="Read an access flow",
)
def read_flow(request: ApiRequest, response: HttpResponse, flow_id: schemas.Id) -> Result:
    flow = flow_rows(AccessFlow.objects.filter(pk=flow_id)).first()
    if flow is None:
        raise Http404
    return with_etag(response, describe_flow(flow))


@router.get(
    "/integrations",
    auth=READ_FLOWS,
    response={200: schemas.IntegrationPageOut, ERRORS: schemas.ProblemOut},
    tags=["Integrations"],
    summary="List integrations",
)
def list_integrations(request: ApiRequest, page: schemas.PageNumber = 1) -> Result:
    rows, next_page = _page(integration_rows(), page)
    return {"items": describe_integrations(rows), "next_page": next_page}


@router.get(
    "/users",
    auth=READ_USERS,
    response={200: schemas.UserPageOut, ERRORS: schemas.ProblemOut},
    tags=["Users"],
    summary="List users",
)
def list_users(
    request: ApiRequest,
    q: schemas.Filter = "",
    role: Role | None = None,
    status: Literal["", "active", "inactive"] = "",
    mfa: Literal["", "set_up", "not_set_up"] = "",
    cursor: schemas.Cursor = None,
) -> Result:
    """In order of name."""
    filters = DirectoryFilter(text=q, role=role or "", status=status, mfa=mfa)
    page = directory_page(filters, after=cursor)
    return {"items": [_user(user) for user in page.users], "next_cursor": page.after}


@router.get(
    "/users/{user_id}",
    auth=READ_USERS,
    response={200: schemas.UserOut, ERRORS: schemas.ProblemOut},
    tags=["Users"],
    summary="Read a user",
)
def read_user(request: ApiRequest, user_id: schemas.Id) -> Result:
    user = with_mfa_and_groups(User.objects.filter(pk=user_id)).first()
    if user is None:
        raise Http404
    return _user(user)


@router.get(
    "/groups",
    auth=READ_USERS,
    response={200: schemas.GroupPageOut, ERRORS: schemas.ProblemOut},
    tags=["Users"],
    summary="List groups",
)
def list_groups(request: ApiRequest, page: schemas.PageNumber = 1) -> Result:
    rows, next_page = _page(group_rows(), page)
    groups = [
        {
            "id": group.pk,
            "name": group.name,
            "active_members": getattr(group, "active_members", 0),
        }
        for group in rows
    ]
    return {"items": groups, "next_page": next_page}


@router.get(
    "/me",
    auth=BearerToken(),
    response={200: schemas.MeOut, ERRORS: schemas.ProblemOut},
    tags=["You"],
    summary="Read who you are, and your MFA",
)
def read_me(request: ApiRequest) -> Result:
    token = request.auth
    user = token.user
    return {
        "id": user.pk,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "token": {
            "id": token.pk,
            "name": token.name,
            "is_agent": token.is_agent,
            "scopes": token.scopes,
            "expires_at": token.expires_at,
        },
        "mfa": {
            "enrolled": is_enrolled(user.pk),
            "pending": [
                pending.reference
                for pending in pending_mfa_requests(user)
                if token.may_see(pending)
            ],
            "step_up_url": absolute_url("requests:step_up"),
        },
    }


@router.post(
    "/me/token/revoke",
    auth=BearerToken(),
    response={204: None, ERRORS: schemas.ProblemOut},
    tags=["You"],
    summary="Revoke the token of this call",
)
def revoke_own_token(request: ApiRequest) -> HttpStatus[None]:
    token = request.auth
    revoke_token(actor=token.user, token=token, window=None, client_info=client_of(request))
    return HttpStatus(204, None)


def _page(rows: QuerySet[Row], number: int) -> tuple[list[Row], int | None]:
    """Return a page of rows and the number of the next one."""
    pages = Paginator(rows, PAGE_SIZE)
    if number > pages.num_pages:
        return [], None
    page = pages.page(number)
    return list(page.object_list), number + 1 if page.has_next() else None


def _user(user: User) -> Result:
    return {
        "id": user.pk,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "is_active": user.is_active,
        "mfa": is_enrolled_user(user),
        "groups": [group.name for group in user.groups.all()],
    }
