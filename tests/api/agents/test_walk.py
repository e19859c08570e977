"""The official MCP client as the agent, over HTTP, and its user who verifies: from inventory to revocation."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from accessflows.connectors.protocol import Credential
from accessflows.models import AccessFlow
from audit.models import Event
from requests_app.models import AccessRequest, Status
from tests.api.conftest import make_token
from tests.cli.conftest import (  # noqa: F401
    pg_target,
    pg_version,
    provisioned_server,
    real_flow,
    start_postgres,
)
from tests.factories import AuthenticatorFactory, code_for, take_fingerprint
from tests.requests_app.conftest import settle

pytestmark = pytest.mark.django_db(transaction=True)
COMMENT = "SELECT shobj_description(oid, 'pg_authid') AS comment FROM pg_roles WHERE rolname = %s"


class Agent:
    """``agent.call("list_access")`` returns what the tool does, and whether it is an error."""

    def __init__(self, client: Client, portal: Any) -> None:
        self.client, self.portal = client, portal

    def call(self, name: str, **arguments: object) -> tuple[Any, bool]:
        result = self.portal.call(self.client.call_tool, name, arguments)
        return result.structured_content, result.is_error


@contextmanager
def connected(url: str, secret: str, mode: str = "auto") -> Iterator[Agent]:
    http = create_mcp_http_client(headers={"Authorization": f"Bearer {secret}"})
    with start_blocking_portal() as portal:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        with portal.wrap_async_context_manager(Client(transport, mode=mode)) as client:
            yield Agent(client, portal)
        portal.call(http.aclose)


def test_request_verify_reveal_and_revoke(live_server, real_flow, signed_in, caplog):  # noqa: F811
    caplog.set_level(logging.DEBUG)
    user, flow = real_flow.requester, real_flow.flow
    flow.require_mfa, flow.agents = True, AccessFlow.Agents.REVEAL
    flow.save()
    take_fingerprint(flow)
    authenticator = AuthenticatorFactory(user=user)
    _, secret = make_token(user, name="release-bot", is_agent=True)
    with connected(live_server.url, secret, mode="legacy") as agent:
        listed = agent.portal.call(agent.client.list_tools)
        assert len(listed.tools) == 7
    with connected(live_server.url, secret) as agent:
        [item] = agent.call("list_requestable")[0]["items"]
        wanted = {"targets": [item["id"]], "duration": "1h", "justification": "Look at OPS-1"}
        answer, _ = agent.call("request_access", **wanted)
        [created] = answer["requests"]
        assert created["status"] == "pending_mfa"
        browser = signed_in(user)
        form = {"code": code_for(authenticator), "shown": str(created["id"])}
        browser.post(answer["step_up_url"].partition("localhost")[2], form)
        settle()
        request, _ = agent.call("wait_for_request", request_id=created["id"])
        assert request["status"] == "active"
        [grant] = agent.call("list_access")[0]["items"]
        credential, is_error = agent.call("reveal_credential", grant_id=grant["id"])
        assert not is_error
        again, is_error = agent.call("reveal_credential", grant_id=grant["id"])
        assert is_error
        assert "shown only once" in again["detail"]
        [row] = real_flow.pg.ask(COMMENT, [grant["login"]])
        assert '"agent": true' in str(row)
        signed = Credential(
            host=credential["host"],
            port=credential["port"],
            resource=credential["database"],
            user=credential["user"],
            password=credential["password"],
        )
        real_flow.pg.log_in(signed).close()
        ended, _ = agent.call("revoke_access", request_id=created["id"])
        assert ended["status"] == "revoking"
    settle()
    assert AccessRequest.objects.get().status == Status.REVOKED
    assert Event.objects.get(event="grant:reveal").metadata["token"]["agent"]
    texts = [caplog.text, *(str(event.metadata) for event in Event.objects.all())]
    assert not any(credential["password"] in text or secret in text for text in texts)
