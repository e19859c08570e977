"""Tokens and calls for tests of the API."""

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apono_portal.api.models import ApiToken
from apono_portal.api.scopes import Scope
from apono_portal.api.tokens.secrets import SHOWN_LENGTH, hash_of, new_secret
from apono_portal.users.models import User
from mfa.models import MfaState


def make_token(
    user: User, scopes: Iterable[Scope] = tuple(Scope), *, name: str = "laptop"
) -> tuple[ApiToken, str]:
    """Return a token as `create_token` makes it, and its secret."""
    secret = new_secret()
    state, _ = MfaState.objects.get_or_create(user=user)
    token = ApiToken(
        user=user,
        name=name,
        prefix=secret[:SHOWN_LENGTH],
        token_hash=hash_of(secret),
        scopes=sorted(scopes),
        epoch=state.epoch,
        expires_at=timezone.now() + timedelta(days=30),
    )
    token.sign().save(force_insert=True)
    return token, secret


class ApiClient:
    """Calls of the API with one token, and no cookies."""

    def __init__(self, secret: str = "", token: ApiToken | None = None) -> None:
        self.secret, self.token = secret, token
        self._client = Client()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        if self.secret:
            headers = {"Authorization": f"Bearer {self.secret}", **headers}
        data = {} if body is None else {"data": json.dumps(body)}
        url = path if path.startswith("/api/") else f"/api/v1{path}"
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
