"""A token of every scope against every operation, and every role against those of admins and auditors."""

import re

import pytest

from apono_portal.api.scopes import AGENT_SCOPES, Scope
from apono_portal.api.v1.operations import openapi_document
from tests.api.conftest import ApiClient
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

# What each operation demands; None is any token.
NEEDED: dict[str, Scope | None] = {
    "GET /inventory": Scope.INVENTORY_READ,
    "POST /requests/dry-run": Scope.INVENTORY_READ,
    "POST /requests": Scope.REQUESTS_WRITE,
    "GET /requests": Scope.REQUESTS_READ,
    "GET /requests/{request_id}": Scope.REQUESTS_READ,
    "POST /requests/{request_id}/cancel": Scope.REQUESTS_WRITE,
    "POST /requests/{request_id}/revoke": Scope.REQUESTS_WRITE,
    "POST /requests/{request_id}/extend": Scope.REQUESTS_WRITE,
    "POST /requests/{request_id}/again": Scope.REQUESTS_WRITE,
    "GET /access": Scope.ACCESS_READ,
    "POST /access/{grant_id}/reveal": Scope.ACCESS_REVEAL,
    "POST /access/{grant_id}/reset": Scope.ACCESS_REVEAL,
    "GET /approvals": Scope.APPROVALS_READ,
    "GET /approvals/{request_id}": Scope.APPROVALS_READ,
    "POST /approvals/{request_id}/approve": Scope.APPROVALS_WRITE,
    "POST /approvals/{request_id}/reject": Scope.APPROVALS_WRITE,
    "GET /flows": Scope.FLOWS_READ,
    "GET /flows/export": Scope.FLOWS_READ,
    "POST /flows/plan": Scope.FLOWS_WRITE,
    "POST /flows/apply": Scope.FLOWS_WRITE,
    "GET /flows/{flow_id}": Scope.FLOWS_READ,
    "GET /integrations": Scope.FLOWS_READ,
    "GET /users": Scope.USERS_READ,
    "GET /users/{user_id}": Scope.USERS_READ,
    "GET /groups": Scope.USERS_READ,
    "GET /me": None,
    "POST /me/token/revoke": None,
    "GET /activity": Scope.AUDIT_READ,
    "GET /activity/export": Scope.AUDIT_READ,
    "GET /audit-log": Scope.AUDIT_READ,
    "GET /audit-log/export": Scope.AUDIT_READ,
}
FOR_READERS = {Scope.FLOWS_READ, Scope.USERS_READ, Scope.AUDIT_READ}


def call(client: ApiClient, operation: str) -> int:
    method, path = operation.split(" ")
    path = path.replace("{grant_id}", "00000000-0000-4000-8000-000000000000")
    path = re.sub(r"\{\w+\}", "987654321", path)
    body = {} if method == "POST" else None
    return int(client.call(method, path, body).status_code)


def test_the_table_has_every_operation():
    paths = openapi_document()["paths"]
    operations = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in paths.items()
        for method in methods
    }
    assert operations == set(NEEDED)


def test_nothing_is_done_without_a_token():
    for client in (ApiClient(), ApiClient("apt_" + "0" * 49), ApiClient("x")):
        assert {call(client, operation) for operation in NEEDED} == {401}


@pytest.mark.parametrize("scope", list(Scope))
def test_a_token_of_one_scope_does_what_the_scope_says_and_nothing_else(api_of, admin_user, scope):
    allowed = {
        operation
        for operation in NEEDED
        if operation != "POST /me/token/revoke"
        and call(api_of(admin_user, [scope]), operation) not in {401, 403}
    }
    needed = {operation for operation, need in NEEDED.items() if need in {scope, None}}
    assert allowed == needed - {"POST /me/token/revoke"}


def test_an_agent_s_token_does_what_its_scopes_say_and_no_more(agent_of, admin_user):
    agent = agent_of(admin_user)
    allowed = {
        operation
        for operation in NEEDED
        if operation != "POST /me/token/revoke" and call(agent, operation) not in {401, 403}
    }
    needed = {name for name, scope in NEEDED.items() if scope is None or scope in AGENT_SCOPES}
    assert allowed == needed - {"POST /me/token/revoke"}


def test_no_scope_makes_a_member_an_auditor(api_of, auditor_user):
    member, auditor = api_of(UserFactory()), api_of(auditor_user)
    for operation, scope in NEEDED.items():
        if scope in FOR_READERS:
            assert call(member, operation) == 403, operation
            assert call(auditor, operation) in {200, 404}, operation


def test_a_demoted_admin_s_token_is_void_with_the_role(api_of, admin_user):
    client = api_of(admin_user)
    admin_user.role = "member"
    admin_user.save()
    assert call(client, "GET /audit-log") == 403
