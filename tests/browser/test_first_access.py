"""What it takes from an account to access: codes, clicks and waiting, counted in a real browser.

A click is a press of a button, a link or a box; fields are reached by Tab. The phone shows the code of
this moment, once: a second code would have to wait for the next half minute.
"""

import base64
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pyotp
import pytest
from django.contrib.auth.tokens import default_token_generator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from playwright.sync_api import Locator, Page, expect

from apono_portal.users.models import User
from requests_app.models import AccessRequest, Status
from tests.browser.authenticator import STEP_S, Phone
from tests.browser.test_every_page import ALL_LOOKS, FULL, troubles_of
from tests.factories import (
    PASSWORD,
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)
NEW_PASSWORD = "a password nobody else has"
REASON = "Matches INC-733."


@dataclass
class Newcomer:
    """Somebody at a browser whose steps are counted."""

    page: Page
    user: User
    totp: pyotp.TOTP | None = None
    codes: int = 0
    clicks: int = 0
    waited_s: float = 0
    last_step: int = 0
    began: float = field(default_factory=time.monotonic)

    def click(self, thing: Locator) -> None:
        thing.click()
        self.clicks += 1

    def go_to(self, name: str) -> None:
        self.click(self.page.get_by_role("navigation", name="Main").get_by_role("link", name=name))

    def enter_code(self) -> None:
        assert self.totp is not None
        now = time.time()
        wait_s = max(0.0, (self.last_step + 1) * STEP_S - now)
        time.sleep(wait_s)
        self.waited_s += wait_s
        self.last_step = int(now + wait_s) // STEP_S
        self.codes += 1
        code = str(self.totp.generate_otp(self.last_step))
        self.page.get_by_label("Six-digit code", exact=True).fill(code)

    def join(self) -> None:
        """Set a password through the link of an invitation, and sign in."""
        user_id = urlsafe_base64_encode(force_bytes(self.user.pk))
        token = default_token_generator.make_token(self.user)
        self.page.goto(reverse("users:set_password", args=[user_id, token]))
        self.page.get_by_label("New password", exact=True).fill(NEW_PASSWORD)
        self.page.get_by_label("Confirm new password").fill(NEW_PASSWORD)
        self.click(self.page.get_by_role("button", name="Set password"))
        self.sign_in(NEW_PASSWORD)

    def sign_in(self, password: str) -> None:
        self.page.get_by_label("Email").fill(self.user.email)
        self.page.get_by_label("Password").fill(password)
        self.click(self.page.get_by_role("button", name="Sign in"))

    def request_access(self) -> None:
        self.go_to("New Request")
        self.click(self.page.get_by_role("checkbox", name="via Orders desk"))
        self.page.get_by_label("Justification").fill(REASON)
        self.click(self.page.get_by_role("button", name="Request access"))

    def set_up_mfa(self) -> None:
        self.click(self.page.get_by_role("button", name="Set up"))
        picture = self.page.get_by_role("img", name="QR code").screenshot()
        self.totp = Phone.scan(picture).totp

    def turn_on_mfa(self) -> None:
        self.enter_code()
        self.click(self.page.get_by_role("button", name="Turn on MFA"))
        expect(self.page.get_by_role("heading", name="MFA is on")).to_be_visible()

    def verify(self) -> None:
        self.enter_code()
        self.click(self.page.get_by_role("button", name="Verify"))

    def save_codes(self) -> None:
        """Tick the box and continue. The browser holds those back who don't."""
        done = self.page.get_by_role("button", name="Done")
        done.click()
        expect(self.page.get_by_role("heading", name="MFA is on")).to_be_visible()
        self.page.get_by_label("I have saved these codes").check()
        done.click()

    def assert_counted(self, clicks: int) -> None:
        took_s = time.monotonic() - self.began
        print(f"{self.codes} code, {self.clicks} clicks, {took_s:.1f} s")
        assert (self.codes, self.clicks, self.waited_s) == (1, clicks, 0)


@pytest.fixture
def arrive(live_server, new_context) -> Callable[[User], Newcomer]:
    return lambda user: Newcomer(new_context(base_url=live_server.url).new_page(), user)


def test_one_code_and_seven_clicks_lead_to_access(arrive):
    enrolled = AuthenticatorFactory(user=UserFactory())
    requester, approver = UserFactory(password=None), UserFactory(password=None)
    AccessFlowFactory(
        name="Orders desk",
        require_mfa=True,
        requester_users=[requester, enrolled.user],
        targets=1,
    )
    a_new_requester(arrive(requester))
    an_enrolled_requester(arrive(enrolled.user), enrolled.secret)
    a_new_approver(arrive(approver))


def a_new_requester(requester: Newcomer) -> None:
    requester.join()
    requester.request_access()
    requester.set_up_mfa()
    expect(requester.page.get_by_text("1 request is waiting for this code")).to_be_visible()
    request = AccessRequest.objects.latest("pk")
    look_at(requester.page, "dark", 390)
    requester.page.go_back()  # and again: what the phone scanned stays right
    requester.page.get_by_role("button", name="Set up").click()
    requester.turn_on_mfa()
    assert status_of(request) == Status.GRANTING  # the rest is a worker's
    requester.assert_counted(clicks=7)
    look_at(requester.page, "light", 390)
    requester.save_codes()
    expect(requester.page).to_have_url(re.compile(f"/requests/{request.reference}/$"))


def an_enrolled_requester(requester: Newcomer, secret: bytes) -> None:
    requester.totp = pyotp.TOTP(base64.b32encode(secret).decode())
    requester.page.goto("/sign-in/")
    requester.sign_in(PASSWORD)
    requester.request_access()
    requester.verify()
    expect(requester.page.get_by_text("Released: AR-")).to_be_visible()
    assert status_of(AccessRequest.objects.latest("pk")) == Status.GRANTING
    requester.assert_counted(clicks=5)


def a_new_approver(approver: Newcomer) -> None:
    requester = AuthenticatorFactory(user=UserFactory()).user
    flow = AccessFlowFactory(
        require_mfa=True,
        approval="any_of",
        approver_users=[approver.user],
        requester_users=[requester],
        targets=1,
    )
    request = AccessRequestFactory(requester=requester, flow=flow, status=Status.PENDING_APPROVAL)
    approver.join()
    approver.go_to("Approvals")
    approver.page.get_by_label("Reason").fill(REASON)
    approver.click(approver.page.get_by_role("button", name="Approve"))
    approver.set_up_mfa()
    expect(approver.page.get_by_role("region", name="Your decision")).to_contain_text(REASON)
    look_at(approver.page, "light", 1280)
    approver.turn_on_mfa()
    assert status_of(request) == Status.GRANTING
    assert request.decisions.get().reason == REASON
    approver.assert_counted(clicks=6)
    approver.save_codes()
    expect(approver.page.get_by_role("heading", name="Approvals", level=1)).to_be_visible()


def look_at(page: Page, theme: str, width: int) -> None:
    """The page as it stands is accessible and fits; `make check-pages` looks in every way."""
    for look_theme, look_width in ALL_LOOKS if FULL else [(theme, width)]:
        page.emulate_media(color_scheme=look_theme)
        page.set_viewport_size({"width": look_width, "height": 900})
        assert troubles_of(page) == []


def status_of(request: AccessRequest) -> str:
    request.refresh_from_db()
    return request.status
