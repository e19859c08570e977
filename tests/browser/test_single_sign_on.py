"""Single sign-on in a real browser: to a real provider, back, and out again."""

from ipaddress import ip_network

import pytest
from playwright.sync_api import expect

from tests.factories import IdentityProviderFactory
from tests.fixtures.missing import skip_unless_ci
from tests.fixtures.sso import NoNode, ensure_identity_provider, running_directory


@pytest.fixture
def okta(live_server, settings):
    """Okta for the portal of the live server."""
    try:
        ensure_identity_provider()
    except NoNode as missing:
        skip_unless_ci(str(missing))
    settings.PORTAL_URL = live_server.url
    settings.SSO_NETWORKS = [ip_network("127.0.0.0/8")]
    with running_directory(live_server.url) as directory:
        IdentityProviderFactory(
            slug="one", name="Okta", issuer=directory.issuer(), domains=["halden.example"]
        )
        yield directory


@pytest.mark.django_db(transaction=True)
def test_somebody_signs_in_with_okta_and_out_of_both(okta, live_server, new_context):
    okta.person()
    page = new_context(base_url=live_server.url).new_page()
    page.goto("/requests/")
    page.get_by_role("link", name="Continue with Okta").click()
    expect(page.get_by_role("heading", name="My Requests")).to_be_visible()
    page.get_by_role("button", name="Account menu, Hannah Fischer").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign out of Okta").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_text("You are signed out here and at Okta.")).to_be_visible()
