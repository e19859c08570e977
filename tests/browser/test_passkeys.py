"""Passkeys in a browser, with Chromium's virtual authenticator over CDP.

The host must be a name: an IP address is no RP ID. One walk for the pages, one for the answers that
only a browser gives.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import BrowserContext, CDPSession, Page, expect

from apono_portal.users.models import User
from mfa.models import Passkey, Strength, Verification
from requests_app.models import AccessRequest, Status
from tests.factories import (
    PASSWORD,
    AccessFlowFactory,
    AccessRequestFactory,
    PasskeyFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)
SECURITY = "/account/security/"
STEP_UP = "/account/step-up/"


class Authenticator:
    """A virtual authenticator of one page."""

    def __init__(self, cdp: CDPSession, **options: object) -> None:
        self.cdp = cdp
        cdp.send("WebAuthn.enable")
        self.id = cdp.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                    **options,
                }
            },
        )["authenticatorId"]

    def verify_user(self, verified: bool) -> None:
        self.cdp.send(
            "WebAuthn.setUserVerified",
            {"authenticatorId": self.id, "isUserVerified": verified},
        )

    def set_count(self, count: int) -> None:
        """Put the credential back with another count, as a copy of the key would have."""
        mine = {"authenticatorId": self.id}
        [credential] = self.cdp.send("WebAuthn.getCredentials", mine)["credentials"]
        self.cdp.send("WebAuthn.clearCredentials", mine)
        self.cdp.send(
            "WebAuthn.addCredential", mine | {"credential": credential | {"signCount": count}}
        )


@pytest.fixture
def portal(live_server, settings) -> str:
    """The live server's address by host name, and the portal's settings for it."""
    settings.PORTAL_URL = f"http://localhost:{urlsplit(live_server.url).port}"
    settings.CSRF_TRUSTED_ORIGINS = [settings.PORTAL_URL]
    return settings.PORTAL_URL


@pytest.fixture
def arrive(portal: str, new_context: Callable[..., BrowserContext]):
    def come(email: str, page_url: str, **options: object) -> Page:
        page = new_context(base_url=portal, **options).new_page()
        page.goto(f"/sign-in/?next={page_url}")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: urlsplit(url).path == page_url)
        return page

    return come


def authenticator_of(page: Page, **options: object) -> Authenticator:
    return Authenticator(page.context.new_cdp_session(page), **options)


def add_passkey(page: Page, name: str) -> None:
    page.goto(SECURITY)
    page.get_by_role("link", name="Add passkey").click()
    page.get_by_label("Name this passkey").fill(name)
    page.get_by_role("button", name="Add passkey").click()


def assert_accessible(page: Page) -> None:
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        violations = Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == []
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{page.url} is {over} wider than the screen"


def test_from_the_first_passkey_to_a_released_strong_request(arrive, settings):
    """By keyboard, at 390 pixels: add, verify, and the request that no code releases goes on."""
    settings.MFA_NEW_PASSKEY_WAIT *= 0
    user = UserFactory()
    flow = AccessFlowFactory(
        require_mfa=True,
        mfa_strength=Strength.PHISHING_RESISTANT,
        requester_users=[user],
        targets=1,
    )
    page = arrive(user.email, SECURITY, viewport={"width": 390, "height": 800})
    authenticator = authenticator_of(page)
    add_passkey(page, "Laptop")
    expect(page.get_by_role("heading", name="MFA is on")).to_be_visible()
    page.goto(SECURITY)
    expect(page.get_by_text("Device-bound")).to_be_visible()
    assert_accessible(page)
    target = flow.targets.get()
    page.goto(f"/requests/new/?target={target.pk}")
    page.get_by_label("Justification").fill("OPS-1")
    page.get_by_role("button", name="Request").last.click()
    expect(page.get_by_role("heading", name="This flow requires a passkey")).to_be_visible()
    expect(page.get_by_label("Six-digit code")).to_have_count(0)
    assert_accessible(page)
    authenticator.verify_user(False)
    button = page.get_by_role("button", name="Use a passkey")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="That didn")).to_be_visible()
    authenticator.verify_user(True)
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Released: AR-")).to_be_visible()
    request = AccessRequest.objects.get()
    assert (request.status, request.verified_method) == (Status.GRANTING, "passkey")
    assert request.verification.used_for == ""


def test_what_only_a_browser_answers(arrive):
    """The same key twice, two tabs, a copied key, and another host name."""
    user = UserFactory()
    page = arrive(user.email, SECURITY)
    authenticator = authenticator_of(page)
    add_passkey(page, "Key")
    expect(page.get_by_role("heading", name="MFA is on")).to_be_visible()
    page.goto(STEP_UP)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(lambda url: urlsplit(url).path == "/")
    add_passkey(page, "Again")
    expect(page.get_by_text("This passkey is already on your account.")).to_be_visible()
    page.goto(STEP_UP)
    other = page.context.new_page()
    other.goto(STEP_UP)
    authenticator_of(other)  # a tab has its own virtual authenticator: none of the user's keys
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(lambda url: urlsplit(url).path == "/")
    assert Verification.objects.passed().count() == 2
    authenticator.set_count(1)
    page.goto(STEP_UP)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("That didn't work.")).to_be_visible()
    assert Verification.objects.passed().count() == 2
    assert Passkey.objects.get().sign_count > 1


def strictest_request(user: User) -> AccessRequest:
    """A request that waits for a device-bound passkey."""
    flow = AccessFlowFactory(
        require_mfa=True,
        mfa_strength=Strength.DEVICE_BOUND,
        requester_users=[user],
        targets=1,
    )
    return AccessRequestFactory(requester=user, flow=flow, status=Status.PENDING_MFA)


def test_admin_demands_device_bound_passkeys_and_vouches_for_one(arrive, settings):
    """The flow form with the strength control, and the page of a user with a new passkey."""
    admin, user = UserFactory(admin=True), UserFactory()
    other = PasskeyFactory(user=user, created_at=timezone.now())
    page = arrive(admin.email, SECURITY, viewport={"width": 390, "height": 800})
    authenticator_of(page)
    add_passkey(page, "Laptop")
    expect(page.get_by_role("heading", name="MFA is on")).to_be_visible()
    page.goto(STEP_UP)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(lambda url: urlsplit(url).path == "/")
    page.goto("/access-flows/new/self-serve/")
    page.get_by_role("switch", name="Require MFA").check()
    page.get_by_role("radio", name="Device-bound passkey").check()
    assert_accessible(page)
    page.goto(f"/users/{user.pk}/")
    expect(page.get_by_role("button", name=f"Vouch for {other.name}")).to_be_visible()
    assert_accessible(page)


def test_synced_passkey_and_a_page_without_script(arrive, settings):
    """The pages of a passkey's life at 390 pixels; its synced kind is refused where it does not count."""
    settings.MFA_NEW_PASSKEY_WAIT *= 0
    user = UserFactory()
    request = strictest_request(user)
    page = arrive(user.email, SECURITY, viewport={"width": 390, "height": 800})
    authenticator_of(page, defaultBackupEligibility=True, defaultBackupState=True)
    page.goto("/account/security/passkey/")
    assert_accessible(page)
    add_passkey(page, "Phone and tablet")
    expect(page.get_by_role("heading", name="MFA is on")).to_be_visible()
    page.goto(SECURITY)
    expect(page.get_by_text("Synced")).to_be_visible()
    assert Passkey.objects.get().is_backed_up
    page.goto(f"{STEP_UP}?needs=device_bound")
    expect(
        page.get_by_role("heading", name="This flow requires a device-bound passkey")
    ).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("stays pending.")).to_be_visible()
    request.refresh_from_db()
    assert request.status == Status.PENDING_MFA
    for step in ("rename", "remove"):
        page.goto(f"{SECURITY}methods/passkey/{Passkey.objects.get().pk}/{step}/")
        assert_accessible(page)
    plain = arrive(user.email, SECURITY, java_script_enabled=False)
    plain.goto(STEP_UP)
    expect(plain.get_by_role("button", name="Use a passkey")).to_be_hidden()
    expect(plain.get_by_text("Passkeys need JavaScript.")).to_be_visible()
