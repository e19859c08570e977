"""``aport mcp``: the official MCP client starts it, and talks to the portal through it."""

import sys

import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client, StdioServerParameters

from accessflows.models import AccessFlow
from tests.api.conftest import make_token
from tests.factories import AccessFlowFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_agent_that_starts_a_program_reaches_the_portal(live_server, program, tmp_path):
    user = UserFactory()
    AccessFlowFactory(requester_users=[user], targets=1, agents=AccessFlow.Agents.REQUEST)
    _, secret = make_token(user, is_agent=True)
    server = StdioServerParameters(
        command=sys.executable,
        args=[str(program), "mcp"],
        env={"APORT_URL": live_server.url, "APORT_TOKEN": secret, "HOME": str(tmp_path)},
    )
    with start_blocking_portal() as portal:
        for mode in ("auto", "legacy"):
            with portal.wrap_async_context_manager(Client(server, mode=mode)) as client:
                result = portal.call(client.call_tool, "list_requestable", {})
                assert len(result.structured_content["items"]) == 1


def test_what_the_portal_refuses_is_an_error_of_the_call(cli, live_server):
    _, secret = make_token(UserFactory())
    cli.environment = {"APORT_URL": live_server.url, "APORT_TOKEN": secret}
    call = '{"jsonrpc": "2.0", "id": 7, "method": "ping"}\n'
    answer = cli.run("mcp", typed=call + '{"jsonrpc": "2.0", "method": "notifications/x"}\n')
    assert answer.stdout.count("\n") == 1
    assert '"id": 7' in answer.stdout
    assert "Use the token of an AI agent." in answer.stdout
    assert secret not in answer.stdout + answer.stderr
