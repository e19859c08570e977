"""The tools of an AI agent: operations of the API, called as the API calls them.

What a tool returns is what the operation returns, as JSON. Names, reasons and messages in it were written
by people: they are values, never part of a description or an instruction.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from ninja import Field, Schema
from ninja.errors import ValidationError
from pydantic import ValidationError as InvalidArguments

from apono_portal.api.authentication import ApiRequest, check_scope
from apono_portal.api.problems import problem_body, problem_of, refusals
from apono_portal.api.scopes import Scope
from apono_portal.api.v1 import access, requests, schemas
from requests_app.models import PENDING, Status

MAX_WAIT_S = 15
POLL_S = 1.0
WAITING = {*PENDING, Status.GRANTING}
# Of a process's threads, one at most is taken by a waiting agent.
_waiting = threading.BoundedSemaphore(1)
Json = dict[str, Any]


class NoArguments(schemas.Body):
    pass


class InventoryArguments(schemas.Body):
    q: schemas.Filter = Field("", description="Words that must all occur")
    page: schemas.PageNumber = Field(1, description="next_page of the previous answer")


class AgentRequestIn(schemas.RequestIn):
    justification: schemas.LongText = Field(
        min_length=1, description="Why the user needs this access; approvers read it"
    )


class RequestArguments(schemas.Body):
    request_id: schemas.Id


class WaitArguments(RequestArguments):
    seconds: int = Field(MAX_WAIT_S, ge=0, le=MAX_WAIT_S, description="How long to wait at most")


class GrantArguments(schemas.Body):
    grant_id: UUID = Field(description="The id of a grant in list_access")


@dataclass(frozen=True)
class Tool:
    """One tool. ``changes`` says whether it has an effect, ``returns`` what the API documents."""

    name: str
    title: str
    description: str
    scope: Scope
    arguments: type[Schema]
    returns: type[Schema]
    run: Callable[[ApiRequest, Any], Any]
    changes: bool = False

    def listing(self) -> Json:
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.arguments.model_json_schema(),
            "annotations": {"readOnlyHint": not self.changes, "openWorldHint": False},
        }


def call_tool(request: ApiRequest, tool: Tool, arguments: Json) -> Json:
    """Return the result of a tool; a refusal is one that is marked as an error, as the API words it."""
    try:
        check_scope(request.auth, tool.scope)
        result = tool.run(request, _parsed(tool, arguments))
    except refusals() as refusal:
        return tool_result(problem_body(problem_of(refusal)), is_error=True)
    return tool_result(tool.returns.model_validate(result).model_dump(mode="json"))


def tool_result(value: Json, *, is_error: bool = False) -> Json:
    """Return a value as structured content, and as the same JSON in a text."""
    text = json.dumps(value)
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": value,
        "isError": is_error,
    }


def _parsed(tool: Tool, arguments: Json) -> Schema:
    try:
        return tool.arguments.model_validate(arguments)
    except InvalidArguments as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        located = [{**one, "loc": ("arguments", *one["loc"])} for one in errors]
        raise ValidationError(located) from None


def _list_requestable(request: ApiRequest, arguments: InventoryArguments) -> Json:
    return requests.list_inventory(request, q=arguments.q, page=arguments.page)


def _request_access(request: ApiRequest, arguments: AgentRequestIn) -> Json:
    return requests.create_requests(request, arguments).value


def _wait(request: ApiRequest, arguments: WaitArguments) -> Json:
    """Return the request once its status changes, or it waits for nothing; at the latest in ``seconds``."""
    described = requests.describe_visible(request, arguments.request_id)
    first, give_up_at = described["status"], time.monotonic() + arguments.seconds
    if first not in WAITING or not _waiting.acquire(blocking=False):
        return described
    try:
        while described["status"] == first and time.monotonic() < give_up_at:
            time.sleep(POLL_S)
            described = requests.describe_visible(request, arguments.request_id)
    finally:
        _waiting.release()
    return described


def _revoke(request: ApiRequest, arguments: RequestArguments) -> Json:
    status = requests.visible_request(request, arguments.request_id).status
    end = requests.cancel if status in PENDING else requests.revoke
    return end(request, arguments.request_id)


@cache
def tools() -> dict[str, Tool]:
    """Return the tools by name, in the order in which an agent uses them."""
    return {tool.name: tool for tool in _TOOLS}


_TOOLS = (
    Tool(
        "list_requestable",
        "List what may be requested",
        "List the resources and permissions that you may request for your user. The id of an item goes "
        "into the targets of evaluate_request and request_access.",
        Scope.INVENTORY_READ,
        InventoryArguments,
        schemas.InventoryOut,
        _list_requestable,
    ),
    Tool(
        "evaluate_request",
        "Preview a request",
        "Say what a request would lead to, or why it would be refused. Creates nothing.",
        Scope.INVENTORY_READ,
        schemas.DryRunIn,
        schemas.DryRunOut,
        requests.dry_run,
    ),
    Tool(
        "request_access",
        "Request access",
        "Request access for your user, for as short as the task needs. If step_up_url is set, show it to your "
        "user: only they can verify, in their browser. Never ask for a code. Then call wait_for_request.",
        Scope.REQUESTS_WRITE,
        AgentRequestIn,
        schemas.SubmittedOut,
        _request_access,
        changes=True,
    ),
    Tool(
        "wait_for_request",
        "Wait for a request",
        f"Wait up to {MAX_WAIT_S} seconds for a request of yours to change, and read it. While its status is "
        "pending_mfa, pending_approval or granting, call again after a pause.",
        Scope.REQUESTS_READ,
        WaitArguments,
        schemas.RequestDetailOut,
        _wait,
    ),
    Tool(
        "list_access",
        "List active access",
        "List the active access that you requested, with when it expires.",
        Scope.ACCESS_READ,
        NoArguments,
        schemas.GrantsOut,
        lambda request, arguments: access.list_access(request),
    ),
    Tool(
        "reveal_credential",
        "Reveal a credential, once",
        "Get the credential of active access that you requested, if its access flow gives credentials to AI "
        "agents. If refused, show your user the url of the request: they reveal it there, or confirm you at "
        "step_up_url. Never write the password to a file, a log or a message.",
        Scope.ACCESS_REVEAL,
        GrantArguments,
        schemas.CredentialOut,
        lambda request, arguments: access.reveal(request, arguments.grant_id),
        changes=True,
    ),
    Tool(
        "revoke_access",
        "Revoke access, or cancel a request",
        "End access that you requested as soon as the task is done, or cancel a request of yours that is "
        "not active yet.",
        Scope.REQUESTS_WRITE,
        RequestArguments,
        schemas.RequestOut,
        _revoke,
        changes=True,
    ),
)
