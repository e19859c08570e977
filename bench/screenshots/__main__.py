"""`python -m bench.screenshots`: walk through the demo and write docs/tour.md with its screenshots."""

import shutil
import sys
from dataclasses import dataclass, field

from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.environment import ROOT, temporary_folder
from tests.browser.conftest import QUIET
from tests.browser.person import Person
from tests.chromium import ensure_chromium
from tests.fixtures.stack import Stack

DOCUMENT = ROOT / "docs" / "tour.md"
FOLDER = ROOT / "docs" / "img" / "tour"
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
SECRETS = (".qr-tile", ".manual", ".recovery-codes", ".codes", ".creds .once", ".creds [data-secret]")  # fmt: skip
INTRODUCTION = """# A tour in screenshots

From an access flow that requires MFA to a credential that expires, as the demo shows it. `make screenshots` retakes them
from a demo of its own; secrets are covered.
"""


@dataclass
class Tour:
    """People of a demo, and the sections written so far."""

    stack: Stack
    browser: Browser
    sections: list[str] = field(default_factory=lambda: [INTRODUCTION])

    def sign_in(self, role: str) -> Person:
        account = self.stack.accounts[role]
        page = self.browser.new_page(base_url=self.stack.url, viewport=WIDE)
        page.set_default_timeout(20_000)
        person = Person(page, account["email"], account["password"])
        person.sign_in()
        return person

    def take(self, page: Page, name: str, heading: str, text: str, *, full: bool = False) -> None:
        number = len(self.sections)
        file = FOLDER / f"{number:02}-{name}.png"
        page.mouse.move(0, 0)
        page.evaluate("scrollTo(0, 0)")
        secrets = [page.locator(selector) for selector in SECRETS]
        page.screenshot(path=str(file), full_page=full, mask=secrets, mask_color="#838d9c")
        image = f"![{heading}]({file.relative_to(DOCUMENT.parent).as_posix()})"
        self.sections.append(f"## {number}. {heading}\n\n{text}\n\n{image}\n")


def main() -> int:
    chromium = ensure_chromium()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with temporary_folder("screenshots") as folder, sync_playwright() as playwright:
        stack = Stack(folder)
        try:
            print("Starting a demo", flush=True)
            stack.start()
            browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
            tour = Tour(stack, browser)
            walk(tour)
        finally:
            stack.stop()
    DOCUMENT.write_text("\n".join(tour.sections))
    print(f"{len(tour.sections) - 1} screenshots in {FOLDER.relative_to(ROOT)}")
    return 0


def walk(tour: Tour) -> None:
    admin, requester = tour.sign_in("admin"), tour.sign_in("requester")
    admin.set_up_mfa()
    admin.open_window()
    show_flow(tour, admin)
    set_up_mfa(tour, requester)
    request_access(tour, requester)
    approve(tour, tour.sign_in("approver"))
    use_and_end(tour, requester)
    reset_mfa(tour, admin)
    read_log(tour, tour.sign_in("auditor"))
    page = requester.page
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(NARROW)
    page.goto("/")
    tour.take(
        page, "narrow-dark", "On a phone, in the dark theme", "The same pages, at every width."
    )


def show_flow(tour: Tour, admin: Person) -> None:
    page = admin.page
    admin.go_to("Access Flows")
    page.get_by_role("button", name="Actions for Billing read-write").click()
    page.get_by_role("link", name="Edit").locator("visible=true").click()
    expect(page.get_by_role("switch", name="Require MFA")).to_be_visible()
    text = (
        "The switch follows the name and shows how many users it affects and how many of them have no "
        "authenticator yet. Further down the page says what saving does to pending requests."
    )
    tour.take(page, "require-mfa", "An access flow requires MFA", text)


def set_up_mfa(tour: Tour, requester: Person) -> None:
    page = requester.page
    text = "As soon as one active flow requires MFA, users without an authenticator see it on every page."
    tour.take(page, "banner", "The banner leads to Set Up MFA", text)
    text = (
        "By QR code, typed key, or a link on the same phone, with any authenticator app. The code that "
        "turns MFA on verifies for an hour and releases the requests waiting for it."
    )
    heading = "An authenticator in two minutes"
    requester.set_up_mfa(before_the_code=lambda: tour.take(page, "set-up", heading, text))


def request_access(tour: Tour, requester: Person) -> None:
    page = requester.page
    page.goto("/account/security/")
    page.get_by_role("button", name="Close window").click()
    requester.go_to("New Request")
    page.get_by_role("checkbox", name="billing billing_write via Billing read-write").check()
    page.get_by_label("Duration").fill("2h")
    justification = "Correct 41 duplicated invoices of the April run, INC-733."
    page.get_by_label("Justification").fill(justification)
    page.wait_for_timeout(600)  # the preview follows the form
    text = "Before it is sent: whether a code is needed, who approves, when access expires and what is removed."
    tour.take(page, "new-request", "New Request shows what will happen", text, full=True)
    page.get_by_role("button", name="Request access").click()
    expect(page.get_by_label("Six-digit code", exact=True)).to_be_visible()
    text = "Nothing typed is lost: one code releases all pending requests and is valid for an hour."
    tour.take(page, "step-up", "One six-digit code", text)
    requester.verify()
    page.wait_for_url("**/requests/**")


def approve(tour: Tour, approver: Person) -> None:
    page = approver.page
    approver.set_up_mfa()
    approver.go_to("Approvals")
    page.get_by_role("link", name="Irma Solberg").first.click()
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    text = (
        "Permissions in plain language, the justification, the MFA evidence and the user's recent requests. "
        "Approvers of protected access enter a code too."
    )
    tour.take(page, "approve", "The approver sees everything", text, full=True)
    page.get_by_role("button", name="Approve").click()


def use_and_end(tour: Tour, requester: Person) -> None:
    page = requester.page
    requester.go_to("My Requests")
    page.get_by_role("link", name="View AR-").first.click()
    reference = requester.reference
    requester.look_until_status(reference, "Active", within_s=30)
    requester.reveal()
    text = "Created when revealed, sent to the server as a verifier only, never stored."
    tour.take(page, "credential", "A personal credential, shown once", text, full=True)
    requester.ask_for(
        "Orders read-only", "orders orders_read", "4h", "Look into order 117, OPS-12."
    )
    requester.wait_for_status("Active")
    requester.go_to("My Access")
    text = "What is active, until when, and what is pending. No further code is needed within the hour."
    tour.take(page, "my-access", "My Access counts down", text)
    requester.open_request(reference)
    page.get_by_role("button", name="Revoke now").click()
    page.get_by_role("button", name="Revoke access").click()
    requester.look_until_status(reference, "Revoked", within_s=30)
    page.wait_for_timeout(1500)
    requester.open_request(reference)
    text = (
        "Sessions are terminated, leftovers cleaned up, and the server's own catalogs confirm it."
    )
    tour.take(page, "ended", "Revoked, with proof", text, full=True)


def reset_mfa(tour: Tour, admin: Person) -> None:
    page = admin.page
    admin.go_to("Users")
    page.get_by_role("button", name="Reset MFA for Irma Solberg").click()
    expect(page.get_by_role("dialog", name="Reset MFA")).to_be_visible()
    text = "In every session of that user. The dialog says what happens and asks for a reason."
    tour.take(page, "reset-mfa", "Reset MFA takes effect immediately", text)


def read_log(tour: Tour, auditor: Person) -> None:
    page = auditor.page
    auditor.go_to("Activity")
    text = "One row for each request, with its evidence and its outcome."
    tour.take(page, "activity", "Activity", text)
    auditor.go_to("Audit Log")
    page.get_by_label("Action").select_option("MFA verified")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("link", name="Details of event").first.click()
    text = "By whom, with which authenticator, from where and for which requests. Tampering is detected."
    tour.take(page, "audit-log", "When MFA was performed", text)


if __name__ == "__main__":
    sys.exit(main())
