"""A person at a browser: what several walks do with the same words on the page."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from playwright.sync_api import Locator, Page, expect

from tests.browser.authenticator import Phone
from tests.browser.hands import Hand, Mouse

SOON_MS = 30_000


@dataclass
class Person:
    """Somebody who signs in and reads labels."""

    page: Page
    email: str
    password: str = field(repr=False)
    phone: Phone | None = None
    has_script: bool = True
    hand: Hand = field(default_factory=Mouse)

    def sign_in(self) -> None:
        self.page.goto("/sign-in/")
        self.hand.write(self.page.get_by_label("Email"), self.email)
        self.hand.write(self.page.get_by_label("Password"), self.password)
        self.hand.press(self.page.get_by_role("button", name="Sign in"))
        expect(self.page.get_by_role("heading", name="My Access", level=1)).to_be_visible()

    def go_to(self, name: str) -> None:
        """Follow the main navigation."""
        self.hand.press(
            self.page.get_by_role("navigation", name="Main").get_by_role("link", name=name)
        )
        expect(self.page.get_by_role("heading", name=name, level=1)).to_be_visible()

    def set_up_mfa(self, before_the_code: Callable[[], None] = lambda: None) -> None:
        """From the banner to an authenticator that is on, by camera."""
        page = self.page
        self.hand.press(page.get_by_role("link", name="Set Up MFA").first)
        expect(page.get_by_role("heading", name="Security & Privacy", level=1)).to_be_visible()
        self.hand.press(page.get_by_role("button", name="Set up"))
        dialog = page.get_by_role("dialog", name="Multi-Factor Authentication")
        self.phone = Phone.scan(dialog.get_by_role("img", name="QR code").screenshot())
        before_the_code()
        self._write_code(dialog.get_by_label("Six-digit code", exact=True))
        self.hand.press(dialog.get_by_role("button", name="Turn on MFA"))
        expect(page.get_by_role("heading", name="MFA is on")).to_be_visible()
        self.hand.tick(page.get_by_label("I have saved these codes"))
        self.hand.press(page.get_by_role("button", name="Done"))
        expect(page.get_by_role("link", name="Set Up MFA")).to_have_count(0)

    def open_window(self) -> None:
        """Verify without being asked to, as before an admin's work."""
        self.page.goto("/account/step-up/")
        self.verify()
        expect(self.page.get_by_text("Verified for one hour.")).to_be_visible()

    def verify(self) -> None:
        """Enter the next code on the step-up page."""
        self._write_code(self.page.get_by_label("Six-digit code", exact=True))
        self.hand.press(self.page.get_by_role("button", name="Verify"))

    def _write_code(self, field: Locator) -> None:
        """Look at the phone once the cursor is in the field: a code does not last."""
        assert self.phone is not None
        self.hand.reach(field)
        self.hand.write(field, self.phone.code())

    def ask_for(self, flow: str, target: str, duration: str, justification: str) -> None:
        page = self.page
        self.go_to("New Request")
        self.hand.tick(page.get_by_role("checkbox", name=f"{target} via {flow}"))
        self.hand.write(page.get_by_label("Duration", exact=True), duration)
        if not self.has_script:
            self.hand.press(page.get_by_role("button", name="Continue"))
        self.hand.write(page.get_by_label("Justification"), justification)
        self.hand.press(page.get_by_role("button", name="Request access"))

    def open_request(self, reference: str) -> None:
        self.page.goto(f"/requests/{reference}/")

    @property
    def reference(self) -> str:
        """The reference of the request whose page is open."""
        return self.page.url.rstrip("/").rpartition("/")[2]

    def wait_for_status(self, status: str) -> None:
        """The page of a request follows what happens by itself, where it has script."""
        if not self.has_script:
            self.look_until_status(self.reference, status, within_s=SOON_MS / 1000)
            return
        chip = self.page.locator(".req-head").get_by_text(status, exact=True)
        expect(chip).to_be_visible(timeout=SOON_MS)

    def look_until_status(self, reference: str, status: str, *, within_s: float) -> None:
        """Open the page of a request again and again until it says so."""
        chip = self.page.locator(".req-head").get_by_text(status, exact=True)
        give_up_at = time.monotonic() + within_s
        self.open_request(reference)
        while not chip.is_visible() and time.monotonic() < give_up_at:
            time.sleep(1)
            self.open_request(reference)
        expect(chip).to_be_visible()

    def reveal(self) -> dict[str, str]:
        """Reveal the credentials and read the description list."""
        reveal = self.page.get_by_role("button", name="Reveal credentials")
        with self.page.expect_response("**/credentials/", timeout=SOON_MS) as answered:
            self.hand.press(reveal)
        assert "no-store" in answered.value.headers["cache-control"]
        expect(self.page.get_by_text("Shown once.")).to_be_visible()
        terms = self.page.locator(".creds > div")
        return {
            row.locator("dt").inner_text(): row.locator("dd").evaluate(
                "dd => dd.firstChild.textContent.trim()"
            )
            for row in terms.all()
        }
