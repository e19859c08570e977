"""Tokens and calls for tests of the API."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.test import Client

from apono_portal.api.models import ApiToken
from apono_portal.api.scopes import AGENT_SCOPES, Scope
from apono_portal.api.tokens.secrets import new_secret
from apono_portal.users.models import User
from tests.factories import TokenFactory


def make_token(
    user: User,
    scopes: Iterable[Scope] = tuple(Scope),
    *,
    name: str = "laptop",
    is_agent: bool = False,
) -> tuple[ApiToken, str]:
    """Return a token as `create_token` makes it, and its secret."""
    secret = new_secret()
    fields = {"name": name, "scopes": sorted(scopes), "is_agent": is_agent}
    return TokenFactory(user=user, secret=secret, **fields), secret


class ApiClient:
    """Calls of the API with one token, and no cookies."""

    def __init__(self, secret: str = "", token: ApiToken | None = None) -> None:
        self.secret, self.token = secret, token
        self._client = Client()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        if self.secret:
            headers = {"Authorization": f"Bearer {self.secret}", **headers}
        data = {} if body is None else {"data": json.dumps(body)}
        url = path if path.startswith(("/api/", "/mcp")) else f"/api/v1{path}"
        return self._client.generic(
            method, url, content_type="application/json", headers=headers, **data
        )

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)


@pytest.fixture
def api_of() -> Callable[..., ApiClient]:
    """``api_of(user)`` calls with a new token of that user, of every scope unless told."""

    def client(user: User, scopes: Iterable[Scope] = tuple(Scope), **kwargs: str) -> ApiClient:
        token, secret = make_token(user, scopes, **kwargs)
        return ApiClient(secret, token)

    return client


@pytest.fixture
def agent_of() -> Callable[..., ApiClient]:
    """``agent_of(user)`` calls with a new token of an AI agent of that user."""

    def agent(
        user: User, scopes: Iterable[Scope] = AGENT_SCOPES, *, name: str = "helper"
    ) -> ApiClient:
        token, secret = make_token(user, scopes, name=name, is_agent=True)
        return ApiClient(secret, token)

    return agent
