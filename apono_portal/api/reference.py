"""The reference of the API for people, from its OpenAPI document."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apono_portal.api.scopes import Scope
from apono_portal.api.v1.operations import openapi_document
from apono_portal.core.web.types import PortalRequest


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of a body."""

    name: str
    kind: str
    is_required: bool
    description: str


@dataclass(frozen=True)
class OperationReference:
    """One operation, as the page shows it."""

    method: str
    path: str
    summary: str
    description: str
    fields: list[Field]
    returns: str


@require_safe
def docs(request: PortalRequest) -> HttpResponse:
    document = openapi_document()
    context = {"groups": _groups(document), "scopes": Scope.choices, "info": document["info"]}
    return render(request, "api/docs.html", context)


def _groups(document: dict[str, Any]) -> dict[str, list[OperationReference]]:
    groups: dict[str, list[OperationReference]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            shown = _operation(document, method.upper(), path, operation)
            groups.setdefault(operation["tags"][0], []).append(shown)
    return groups


def _operation(
    document: dict[str, Any], method: str, path: str, operation: dict[str, Any]
) -> OperationReference:
    parameters = [
        Field(
            name=parameter["name"],
            kind=_kind(parameter["schema"]),
            is_required=parameter["required"],
            description=f"in the {parameter['in']}",
        )
        for parameter in operation["parameters"]
    ]
    return OperationReference(
        method=method,
        path=path,
        summary=operation["summary"],
        description=operation.get("description", "").replace("`", ""),
        fields=parameters + _body_fields(document, operation),
        returns=_result(operation),
    )


def _body_fields(document: dict[str, Any], operation: dict[str, Any]) -> list[Field]:
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    body = document["components"]["schemas"].get(name, {})
    return [
        Field(
            name=field,
            kind=_kind(details),
            is_required=field in body.get("required", []),
            description=details.get("description", ""),
        )
        for field, details in body.get("properties", {}).items()
    ]


def _kind(schema: dict[str, Any]) -> str:
    """Return the type of a value in a word or two."""
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(str(value) or '""' for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", schema.get("$ref", "object").rpartition("/")[2]))


def _result(operation: dict[str, Any]) -> str:
    """Return the status and the name of the result of a call that succeeds."""
    for status, response in operation["responses"].items():
        if int(status) < 300:
            content = response.get("content", {}).get("application/json", {})
            name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            return f"{status} {name.removesuffix('Out')}".strip()
    return ""
