"""``ETag`` and ``If-Match`` (RFC 9110, section 13): a change of what the client has not read is refused."""

import hashlib
import json
from typing import Annotated, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpResponse
from django.utils.http import parse_etags
from ninja import Header

from apono_portal.api.problems import Problem

IfMatch = Annotated[
    str | None,
    Header(
        None,
        alias="If-Match",
        max_length=1000,
        description="The ETag that you read: the call is refused with 412 if it changed since",
    ),
]
# Operations whose response has an ETag.
WITH_ETAG = frozenset({"read_request", "read_flow"})
ETAG_HEADER = {
    "ETag": {"schema": {"type": "string"}, "description": "Changes with what the response says"}
}
CHANGED = "This changed since you read it. Nothing was done. Read it again."


def etag_of(description: dict[str, Any]) -> str:
    text = json.dumps(description, sort_keys=True, cls=DjangoJSONEncoder)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def with_etag(response: HttpResponse, description: dict[str, Any]) -> dict[str, Any]:
    """Set the ETag of a description, and return it."""
    response["ETag"] = etag_of(description)
    return description


def require_match(if_match: str | None, description: dict[str, Any]) -> None:
    """Raise a problem unless the description is what the client read, or it does not care."""
    if if_match is None:
        return
    tags = parse_etags(if_match)
    if tags != ["*"] and etag_of(description) not in tags:
        raise Problem(412, "precondition_failed", CHANGED)
