"""A provider that the portal knows, and signing in through it."""

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
import requests
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from apono_portal.sso.models import IdentityProvider
from tests.factories import IdentityProviderFactory
from tests.fixtures.sso import Directory


@pytest.fixture
def provider(db: None, directory: Directory, settings: Settings) -> IdentityProvider:
    """Okta for halden.example, which creates accounts."""
    settings.SSO_NETWORKS = [ip_network("127.0.0.0/8")]
    return IdentityProviderFactory(
        slug="one", name="Okta", issuer=directory.issuer(), domains=["halden.example"]
    )


@pytest.fixture
def come_back(directory: Directory, provider: IdentityProvider) -> Callable[..., HttpResponse]:
    """``come_back(client, **person)`` signs in at the provider and returns the portal's answer."""

    def sign_in(
        client: Client,
        account: str = "hannah",
        *,
        at: requests.Session | None = None,
        query: str = "",
        **options: Any,
    ) -> HttpResponse:
        directory.person(account, **options)
        away = client.get(f"/sso/one/{query}")
        assert away.status_code == 302, away.content.decode()
        return client.get(directory.visit(away.headers["Location"], at))

    return sign_in


def is_signed_in(client: Client) -> bool:
    return client.get("/account/security/").status_code == 200
