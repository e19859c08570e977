"""The SCIM endpoint: any path below /scim/v2/, for clients with a directory's token."""

import json

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from scim2_models import (
    ForbiddenException,
    InvalidSyntaxException,
    PayloadTooLargeException,
    SCIMException,
    UnauthorizedException,
)
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse

from apono_portal.core.web.client import ClientInfo
from apono_portal.scim.caller import Caller
from apono_portal.scim.protocol import scim_service
from apono_portal.scim.storage import DirectoryStorage
from apono_portal.scim.tokens import find_token
from apono_portal.users.exceptions import UserError

PATH = "/scim/v2"
MAX_BODY = 5_000_000  # bytes: a group is sent with all its members
LOCKING = {"PUT", "PATCH", "DELETE"}
TOO_DEEP = "The request is nested too deeply."


@csrf_exempt
@login_not_required
def endpoint(request: HttpRequest, path: str = "") -> HttpResponse:
    """Answer a request of a directory, or refuse it in the words of the protocol."""
    try:
        response = _serve(request, path)
    except SCIMException as error:
        response = scim_service().error_response(error)
    except UserError as error:
        response = scim_service().error_response(ForbiddenException(detail=error.sentence))
    except RecursionError:
        response = scim_service().error_response(InvalidSyntaxException(detail=TOO_DEEP))
    return _http(response)


def _serve(request: HttpRequest, path: str) -> ScimResponse:
    token = find_token(request.headers.get("Authorization", ""))
    if token is None:
        raise UnauthorizedException(detail="The token is missing, unknown, expired or revoked.")
    caller = Caller(token.directory, token.hint, ClientInfo.of(request))
    storage = DirectoryStorage(caller, locks=request.method in LOCKING)
    scim_request = ScimRequest(
        method=request.method or "",
        base_url=f"{settings.PORTAL_URL}{PATH}",
        path=f"/{path}",
        query=request.GET.dict(),
        headers=dict(request.headers),
        body=_body(request),
    )
    return ScimHandler(scim_service(), storage).handle(scim_request)


def _body(request: HttpRequest) -> bytes:
    """Return the body. Django's limit is for forms, and answers with a page."""
    try:
        body = request.read(MAX_BODY + 1)
    except UnreadablePostError:
        raise InvalidSyntaxException(detail="The request ended early.") from None
    if len(body) > MAX_BODY:
        raise PayloadTooLargeException(detail=f"A request has at most {MAX_BODY} bytes.")
    return body


def _http(response: ScimResponse) -> HttpResponse:
    content = b"" if response.body is None else json.dumps(response.body)
    return HttpResponse(content, status=response.status, headers=response.headers)
