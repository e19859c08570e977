"""The contract of the client that users of Apono have: its calls, its shapes and its quirks.

The shapes are compared with the client's own OpenAPI document if CLIENT_API_DOCUMENT names it.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from apono_portal.api.scopes import Scope
from mfa.models import Verification
from requests_app.models import AccessRequest, Status
from tests.api.v1.test_access import confirm
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    GrantFactory,
    UserFactory,
    code_for,
)

pytestmark = pytest.mark.django_db
DOCUMENT = os.environ.get("CLIENT_API_DOCUMENT")  # a file
BASE = "/api/client/v1"


@cache
def document() -> dict[str, Any]:
    return json.loads(Path(DOCUMENT).read_text()) if DOCUMENT else {}


def as_json_schema(value: Any) -> Any:
    """Return an OpenAPI 3.0 schema as JSON Schema, which has no ``nullable``."""
    if isinstance(value, list):
        return [as_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    schema = {key: as_json_schema(item) for key, item in value.items() if key != "nullable"}
    return {"anyOf": [schema, {"type": "null"}]} if value.get("nullable") is True else schema


def checked(response: Any, path: str, method: str = "get") -> Any:
    """Return the body of a success, which must have the shape that the client's document says."""
    assert response.status_code == 200, response.content
    body = response.json()
    if document():
        operation = document()["paths"][f"{BASE}{path}"][method]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        components = as_json_schema(document()["components"])
        Draft202012Validator({**as_json_schema(schema), "components": components}).validate(body)
    return body


@pytest.fixture
def user(db):
    return UserFactory()


@pytest.fixture
def flow(user):
    return AccessFlowFactory(requester_users=[user], targets=1)


def selection(flow, **fields: object) -> dict[str, object]:
    """Return the body that the client sends."""
    target = flow.targets.get()
    return {
        "filter_integration_ids": [str(target.resource.integration_id)],
        "filter_bundle_ids": [],
        "filter_resource_type_ids": ["postgresql-resource"],
        "filter_resource_ids": [],
        "filter_resources": [{"type": "id", "value": str(target.resource_id)}],
        "filter_permission_ids": [str(target.permission_id)],
        "filter_access_unit_ids": [],
        "justification": "Look into the failed import.",
        "duration_in_sec": 3600,
        "run_pre_approval_validations": True,
        **fields,
    }


def test_login_and_what_every_command_calls(api_of, user):
    client = api_of(user)
    session = checked(client.get(f"{BASE}/session"), "/session")
    assert session["user"]["email"] == user.email
    enrolled = checked(client.get(f"{BASE}/session/is-mfa-enrolled"), "/session/is-mfa-enrolled")
    assert enrolled == {"is_mfa_enrolled": False}
    empty = checked(client.get(f"{BASE}/cli-notifications"), "/cli-notifications")
    assert empty == {"notifications": []}
    event = {"event_name": "x", "client_type": "CLI", "properties": {}}
    assert client.post(f"{BASE}/analytics", event).status_code == 201


def test_the_inventory_is_what_may_be_requested(api_of, user, flow):
    AccessFlowFactory(requester_users=[UserFactory()], targets=1)
    client, target = api_of(user), flow.targets.get()
    integration = target.resource.integration_id
    path = "/inventory/integrations"
    [found] = checked(client.get(f"{BASE}{path}"), path)["data"]
    assert found["id"] == str(integration)
    query = f"integration-id={integration}&resource-type-id=postgresql-resource&limit=1000"
    for kind, pk in (("resources", target.resource_id), ("permissions", target.permission_id)):
        path = f"/inventory/{kind}"
        page = checked(client.get(f"{BASE}{path}?{query}"), path)
        assert [one["id"] for one in page["data"]] == [str(pk)]
        assert page["pagination"] == {"limit": 1000, "offset": 0}
    for kind in ("resource-types", "bundles"):
        path = f"/inventory/{kind}"
        checked(client.get(f"{BASE}{path}?{query}"), path)


def test_break_glass_is_never_what_the_client_gets(api_of, user):
    flow = AccessFlowFactory(requester_users=[user], targets=1, require_mfa=True, break_glass=True)
    client = api_of(user)
    assert client.get(f"{BASE}/inventory/integrations").json()["data"] == []
    assert client.post(f"{BASE}/access-requests", selection(flow)).status_code == 422
    assert client.get("/inventory").json()["items"][0]["flow"]["break_glass"]


def test_a_request_is_dry_run_created_followed_and_revoked(api_of, user, flow):
    client = api_of(user)
    dry_run = client.post(f"{BASE}/access-requests/dry-run", selection(flow))
    assert checked(dry_run, "/access-requests/dry-run", "post")["errors"] == []
    created = client.post(f"{BASE}/access-requests", selection(flow))
    [reference] = checked(created, "/access-requests", "post")["request_ids"]
    request = checked(client.get(f"{BASE}/access-requests/{reference}"), "/access-requests/{id}")
    assert request["status"]["status"] == "Granting"
    assert isinstance(request["creation_time"], float)
    group = request["access_groups"][0]["id"]
    path = "/access-groups/{id}/units"
    units = checked(client.get(f"{BASE}/access-groups/{group}/units"), path)["data"]
    assert [unit["permission"]["name"] for unit in units] == [flow.targets.get().permission.name]
    revoked = client.post(f"{BASE}/access-requests/{reference}/revoke")
    checked(revoked, "/access-requests/{id}/revoke", "post")
    assert AccessRequest.objects.get().status == Status.CANCELLED


def test_a_dry_run_names_what_to_correct(api_of, user, flow):
    body = selection(flow, duration_in_sec=9 * 3600, justification=None)
    response = api_of(user).post(f"{BASE}/access-requests/dry-run", body)
    errors = {one["field"]: one for one in response.json()["errors"]}
    assert errors["duration_in_sec"]["code"] == "INVALID_DURATION"
    assert errors["duration_in_sec"]["details"] == {"max_duration": 8 * 3600}
    assert errors["justification"]["code"] == "FIELD_MISSING"


def test_a_protected_request_waits_and_says_where(api_of, user):
    flow = AccessFlowFactory(requester_users=[user], targets=1, require_mfa=True)
    client = api_of(user)
    created = client.post(f"{BASE}/access-requests", selection(flow)).json()
    [reference] = created["request_ids"]
    assert f"/account/step-up/?request={reference[3:]}" in created["message"]
    shape = client.get(f"{BASE}/access-requests/{reference}").json()
    assert shape["status"]["status"] == "PendingMFA"


def test_no_code_passes_mfa_here(api_of, user):
    code = code_for(AuthenticatorFactory(user=user))
    flow = AccessFlowFactory(requester_users=[user], targets=1, require_mfa=True)
    client = api_of(user)
    client.post(f"{BASE}/access-requests", selection(flow))
    for body in ({"token": code}, {"code": code}, {}):
        response = client.post(f"{BASE}/access-requests/pass-mfa", body)
        assert response.status_code == 403
        assert response.json()["message"].endswith(response.json()["step_up_url"])
        assert response.content.startswith(b'{"message": ')
    assert AccessRequest.objects.get().status == Status.PENDING_MFA
    assert not Verification.objects.exists()


def test_the_link_that_the_client_prints_leads_to_the_code(user, verified):
    flow = AccessFlowFactory(requester_users=[user], targets=1, require_mfa=True)
    request = AccessRequestFactory(
        requester=user, flow=flow, status=Status.PENDING_MFA, token_id=1, token_name="cli"
    )
    browser = verified(user)
    link = f"/account/step-up?status=pending-mfa&request={request.reference}"
    page = browser.get(link, follow=True)
    assert page.redirect_chain[-1][0].endswith(f"request={request.reference}")
    assert f"requested {request.reference} for you" in page.content.decode()


def test_the_list_echoes_the_limit_and_never_a_null_justification(api_of, user, flow):
    for _ in range(3):
        AccessRequestFactory(requester=user, flow=flow, justification="")
    client = api_of(user)
    response = client.get(f"{BASE}/access-requests?scope=MyRequests&skip=1&limit=2")
    page = checked(response, "/access-requests")
    assert page["pagination"] == {"limit": 2, "offset": 1}
    assert [one["justification"] for one in page["data"]] == ["", ""]
    assert (
        client.get(f"{BASE}/access-requests?scope=MyRequests&limit=5000").json()["pagination"][
            "limit"
        ]
        == 1000
    )
    assert client.get(f"{BASE}/access-requests?scope=MyRequests&skip=10001").status_code == 422


def test_details_are_read_once_and_only_what_was_confirmed(api_of, user):
    flow = AccessFlowFactory(requester_users=[user], targets=1, require_mfa=True)
    active = AccessRequestFactory(requester=user, flow=flow, status=Status.ACTIVE)
    grant = GrantFactory(request=active, login="apono_x", login_mark="1", system_identifier="1")
    client = api_of(user)
    [listed] = checked(client.get(f"{BASE}/access-sessions"), "/access-sessions")["data"]
    assert listed["credentials"]["status"] == "new"
    url = f"{BASE}/access-sessions/{grant.pk}"
    assert checked(client.get(url), "/access-sessions/{id}")["id"] == str(grant.pk)
    refused = client.get(f"{url}/access-details?consumed_by=apono_cli")
    assert refused.status_code == 403
    assert "/account/tokens/" in refused.json()["message"]
    confirm(client, grant)
    assert client.get(f"{url}/access-details").status_code == 422  # the target does not answer
    grant.revealed_at = grant.deadline
    grant.save()
    path = "/access-sessions/{id}/access-details"
    consumed = checked(client.get(f"{url}/access-details"), path)
    assert "cli" not in consumed
    assert consumed["credentials"] == {"id": str(grant.pk), "status": "consumed", "can_reset": True}


def test_what_is_another_s_does_not_exist(api_of, user):
    grant = GrantFactory()
    client = api_of(user)
    for path in (
        f"/access-requests/{grant.request.reference}",
        f"/access-groups/{grant.request_id}:{grant.integration_name}/units",
        f"/access-sessions/{grant.pk}",
        f"/access-sessions/{grant.pk}/access-details",
        "/access-requests/nonsense",
    ):
        assert client.get(f"{BASE}{path}").status_code == 404, path
    assert client.get(f"{BASE}/access-sessions?request_id=x&integration_id=y").json()["data"] == []


def test_scopes_hold_here_too(api_of, user, flow):
    client = api_of(user, [Scope.INVENTORY_READ])
    assert client.get(f"{BASE}/inventory/integrations").status_code == 200
    assert client.post(f"{BASE}/access-requests", selection(flow)).status_code == 403
    assert client.get(f"{BASE}/access-sessions").status_code == 403
    assert not AccessRequest.objects.exists()
