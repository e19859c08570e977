"""The API's operations together, and its OpenAPI document."""

from copy import deepcopy
from functools import cache
from typing import Any

from django.http import HttpRequest, JsonResponse
from ninja import NinjaAPI
from ninja.operation import Operation

from apono_portal.api.etags import ETAG_HEADER, WITH_ETAG
from apono_portal.api.problems import CONTENT_TYPE, install_handlers
from apono_portal.api.v1 import access, approvals, directory, flow_files, reports, requests

DESCRIPTION = (
    "Everything a user does on the pages, with a token. No code is accepted over a token: a protected "
    "request is created as Pending MFA, and its owner verifies in a browser, at step_up_url."
)


class PortalApi(NinjaAPI):
    """An API whose operations are named as their functions are."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__


api = PortalApi(
    title="Apono Portal API",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api_v1",
    docs_url=None,
    openapi_url=None,
)
install_handlers(api)
for module in (requests, access, approvals, flow_files, directory, reports):
    api.add_router("", module.router)


@cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, in which errors are problems (RFC 9457)."""
    document: dict[str, Any] = api.get_openapi_schema(path_prefix="/api/v1/")
    for path in document["paths"].values():
        for operation in path.values():
            if "description" in operation:
                operation["description"] = operation["description"].replace("``", "`")
            if "requestBody" in operation:  # which may be no JSON
                operation["responses"][400] = deepcopy(operation["responses"][422])
            if operation["operationId"] in WITH_ETAG:
                operation["responses"][200]["headers"] = deepcopy(ETAG_HEADER)
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if int(status) >= 400 and "application/json" in content:
                    response["content"] = {CONTENT_TYPE: content.pop("application/json")}
    return document


def openapi(request: HttpRequest) -> JsonResponse:
    return JsonResponse(openapi_document())
