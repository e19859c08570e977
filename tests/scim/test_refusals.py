"""Whatever is malformed or not allowed is refused in the words of the protocol."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apono_portal.scim.models import Directory, ScimToken, ScimUser
from apono_portal.scim.tokens import hash_of
from apono_portal.users.models import User
from audit.models import Event
from tests.scim.conftest import GROUP, PATCH_OP, USER, DirectoryClient

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
DEEP = "[" * 100_000

BODIES = {
    "no JSON": ("POST", "/Users", "{"),
    "not UTF-8": ("POST", "/Users", b"\xff\xfe"),
    "a list": ("POST", "/Users", []),
    "nothing": ("POST", "/Users", ""),
    "too deep": ("POST", "/Users", DEEP),
    "no userName": ("POST", "/Users", {"schemas": [USER]}),
    "userName of another type": ("POST", "/Users", {"schemas": [USER], "userName": {"a": 1}}),
    "a NUL character": ("POST", "/Users", {"schemas": [USER], "userName": "a\0b"}),
    "a NUL within": ("POST", "/Users", {"schemas": [USER], "userName": "a", "title": "\0"}),
    "a long userName": ("POST", "/Users", {"schemas": [USER], "userName": "a" * 300}),
    "no email": (
        "POST",
        "/Users",
        {"schemas": [USER], "userName": "a", "emails": [{"value": "x"}]},
    ),
    "a hidden character": (
        "POST",
        "/Users",
        {"schemas": [USER], "userName": "a@b.example", "displayName": "a\u202eb"},
    ),
    "a group without a name": ("POST", "/Groups", {"schemas": [GROUP]}),
    "an unknown member": (
        "POST",
        "/Groups",
        {"schemas": [GROUP], "displayName": "A", "members": [{"value": "x"}]},
    ),
    "a group in a group": (
        "POST",
        "/Groups",
        {"schemas": [GROUP], "displayName": "A", "members": [{"value": "x", "type": "Group"}]},
    ),
    "an unknown user": ("PATCH", "/Users/x", {"schemas": [PATCH_OP], "Operations": []}),
    "no endpoint": ("GET", "/Nothing", None),
    "no method": ("DELETE", "/Users", None),
    "an unknown filter": ("GET", "/Users?filter=title+pr", None),
    "a broken filter": ("GET", "/Users?filter=((", None),
    "a deep filter": ("GET", f"/Users?filter={'(' * 900}", None),
    "a long filter": ("POST", "/Users/.search", {"filter": "x" * 2000}),
    "a NUL in a filter": ("GET", '/Users?filter=externalId+eq+"%00"', None),
    "a negative count of nothing": ("GET", "/Users?count=x", None),
    "bulk": ("POST", "/Bulk", {}),
    "me": ("GET", "/Me", None),
}


@pytest.mark.parametrize(("method", "path", "body"), BODIES.values(), ids=list(BODIES))
def test_a_malformed_request_gets_an_error_of_the_protocol(okta, method, path, body):
    response = okta.send(method, path, body)
    assert 400 <= response.status_code < 502
    assert response.headers["Content-Type"] == "application/scim+json"
    error = json.loads(response.content)
    assert (error["schemas"], error["status"]) == ([ERROR], str(response.status_code))
    assert response.status_code != 500
    assert not ScimUser.objects.exists()
    assert not User.objects.exists()
    assert not Event.objects.exists()


def test_a_failed_group_leaves_nothing_half_created(okta):
    user = okta.add_user("a@corp.example")
    before = Event.objects.count()
    body = {
        "schemas": [GROUP],
        "displayName": "A",
        "members": [{"value": user["id"]}, {"value": "x"}],
    }
    assert okta.send("POST", "/Groups", body).status_code == 400
    assert okta.send("GET", "/Groups").json()["totalResults"] == 0
    assert Event.objects.count() == before


def test_a_body_beyond_the_limit_is_refused(okta):
    response = okta.send("POST", "/Users", "x" * 5_000_001)
    assert (response.status_code, response.json()["schemas"]) == (413, [ERROR])


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic eDp4", "Bearer \u00e9"])
def test_without_a_valid_token_nothing_is_told(directory, header):
    response = Client().get("/scim/v2/Users", headers={"Authorization": header})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.json()["schemas"] == [ERROR]


@pytest.mark.parametrize("change", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now()}])
def test_a_token_that_is_over_is_refused(okta, change):
    assert okta.send("GET", "/Users").status_code == 200
    ScimToken.objects.update(**change)
    assert okta.send("GET", "/Users").status_code == 401


def test_a_session_of_an_admin_is_no_token(admin_client, directory):
    assert admin_client.get("/scim/v2/Users").status_code == 401


def test_a_directory_sees_and_changes_only_its_own(okta):
    user = okta.add_user("a@corp.example")
    other = Directory.objects.create(name="Entra")
    ScimToken.objects.create(
        directory=other,
        token_hash=hash_of("scim_other"),
        expires_at=timezone.now() + timedelta(days=1),
    )
    entra = DirectoryClient(Client(), "scim_other")
    assert entra.send("GET", "/Users").json()["totalResults"] == 0
    assert entra.send("DELETE", f"/Users/{user['id']}").status_code == 404
    response = entra.send("POST", "/Users", {"schemas": [USER], "userName": "a@corp.example"})
    assert response.status_code == 409
    body = {"schemas": [GROUP], "displayName": "A", "members": [{"value": user["id"]}]}
    assert entra.send("POST", "/Groups", body).status_code == 400


def test_an_outdated_version_is_refused(okta):
    user = okta.add_user("a@corp.example")
    body = {"schemas": [USER], "userName": "a@corp.example", "displayName": "B"}
    path = f"/Users/{user['id']}"
    assert okta.send("PUT", path, body).status_code == 200
    response = okta.send("PUT", path, body, **{"If-Match": user["meta"]["version"]})
    assert response.status_code == 412
