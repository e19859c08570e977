"""A directory with a token, and its client."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from apono_portal.scim.models import Directory, ScimToken
from apono_portal.scim.tokens import hash_of

TOKEN = "scim_token-of-the-tests"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass
class DirectoryClient:
    """Sends what a directory sends."""

    client: Client
    token: str = TOKEN

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        content = (
            body if isinstance(body, str | bytes) else "" if body is None else json.dumps(body)
        )
        return self.client.generic(
            method,
            f"/scim/v2{path}",
            content,
            content_type="application/scim+json; charset=utf-8",
            headers={"Authorization": f"Bearer {self.token}", **headers},
        )

    def add_user(self, email: str, **attributes: Any) -> dict[str, Any]:
        body = {"schemas": [USER], "userName": email, "active": True, **attributes}
        response = self.send("POST", "/Users", body)
        assert response.status_code == 201, response.content
        return dict(response.json())

    def add_group(self, name: str, *members: dict[str, Any]) -> dict[str, Any]:
        values = [{"value": member["id"]} for member in members]
        body = {"schemas": [GROUP], "displayName": name, "members": values}
        response = self.send("POST", "/Groups", body)
        assert response.status_code == 201, response.content
        return dict(response.json())

    def patch(self, path: str, *operations: dict[str, Any]) -> HttpResponse:
        return self.send("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)})


@pytest.fixture
def directory(db: None) -> Directory:
    directory = Directory.objects.create(name="Okta")
    ScimToken.objects.create(
        directory=directory,
        token_hash=hash_of(TOKEN),
        hint=TOKEN[-4:],
        created_by_label="Ada Admin <ada@example.org>",
        expires_at=timezone.now() + timedelta(days=90),
    )
    return directory


@pytest.fixture
def okta(directory: Directory) -> DirectoryClient:
    return DirectoryClient(Client())
