"""`python -m bench.tour`: walk the demo, take the pictures of docs/tour.md, and measure its pages."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from bench.tour.album import Album
from bench.tour.figures import measure, write
from tests.browser.conftest import QUIET
from tests.browser.person import Person
from tests.chromium import ensure_chromium
from tests.fixtures.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tour.md"
PICTURES = ROOT / "docs" / "img" / "tour"
FIGURES = ROOT / "bench" / "results" / "look.json"
WIDE = {"width": 1280, "height": 860}
NARROW = {"width": 390, "height": 844}

Arrive = Callable[..., Person]


def main() -> int:
    chromium = ensure_chromium()
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="apono-tour-") as folder, sync_playwright() as driver:
        stack = Stack(Path(folder))
        try:
            print("Starting a demo of the tour's own", flush=True)
            stack.start()
            browser = driver.chromium.launch(executable_path=chromium, args=QUIET)
            album = Album(PICTURES, PAGE)
            walk(stack, browser, album)
            album.close()
            write(FIGURES, measure(browser, stack))
        finally:
            stack.stop()
    print(
        f"{album.count} pictures in {PICTURES.relative_to(ROOT)}; figures in bench/results/look.json"
    )
    return 0


def walk(stack: Stack, browser: Browser, album: Album) -> None:
    def arrive(role: str, *, theme: str = "light", size: dict[str, int] = WIDE) -> Person:
        account = stack.accounts[role]
        context = browser.new_context(base_url=stack.url, viewport=size, color_scheme=theme)
        context.set_default_timeout(20_000)
        person = Person(context.new_page(), account["email"], account["password"])
        person.sign_in()
        return person

    admin, requester = arrive("admin"), arrive("requester")
    require_mfa(admin, album)
    set_up(requester, album)
    ask(requester, album)
    approve(arrive("approver"), requester, album)
    use_and_end(requester, album)
    look_after(admin, album)
    read(arrive("auditor"), album)
    in_the_dark(requester, album)


def require_mfa(admin: Person, album: Album) -> None:
    page = admin.page
    admin.go_to("Access Flows")
    page.get_by_role("button", name="Actions for Billing read-write").click()
    page.get_by_role("link", name="Edit").locator("visible=true").click()
    expect(page.get_by_role("switch", name="Require MFA")).to_be_visible()
    album.take(
        page,
        "require-mfa",
        "An access flow requires MFA",
        "The switch follows the name, and says at once how many people it concerns and how many of them have no "
        "authenticator yet. Further down stands what saving does to requests that wait.",
    )


def set_up(requester: Person, album: Album) -> None:
    page = requester.page
    album.take(
        page,
        "banner",
        "The banner leads to Set Up MFA",
        "As soon as one active flow requires MFA, everybody without an authenticator sees it on every page.",
    )
    requester.set_up_mfa(
        before_the_code=lambda: album.take(
            page,
            "set-up",
            "An authenticator in two minutes",
            "QR code, key for typing, or a link on the same phone. Any authenticator app can read it. Picture "
            "and key are covered here.",
        )
    )


def ask(requester: Person, album: Album) -> None:
    page = requester.page
    requester.go_to("New Request")
    page.get_by_role("checkbox", name="billing billing_write through Billing read-write").check()
    page.get_by_label("Duration").fill("2h")
    page.get_by_label("Justification").fill(
        "Correct 41 duplicated invoices of the April run, INC-733."
    )
    page.wait_for_timeout(600)  # the summary follows what is typed
    album.take(
        page,
        "new-request",
        "New Request says what will happen",
        "Whether a code will be asked, who approves, when it ends and what is cleaned up, before it is sent.",
        full=True,
    )
    page.get_by_role("button", name="Request access").click()
    expect(page.get_by_label("Six-digit code", exact=True)).to_be_visible()
    album.take(
        page,
        "step-up",
        "One six-digit code",
        "Nothing typed is lost: the request is pending_mfa, and one code releases all that wait. It counts for an hour.",
    )
    requester.verify()
    page.wait_for_url("**/requests/**")


def approve(approver: Person, requester: Person, album: Album) -> None:
    page = approver.page
    approver.set_up_mfa()
    page.goto("/account/step-up/")
    approver.verify()
    approver.go_to("Approvals")
    page.get_by_role("link", name="Irma Solberg").first.click()
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    album.take(
        page,
        "approve",
        "The approver sees all of it",
        "Rights in words, the justification, the MFA evidence and what this person asked for lately. "
        "Approvers of protected access enter a code too.",
        full=True,
    )
    page.get_by_role("button", name="Approve").click()


def use_and_end(requester: Person, album: Album) -> None:
    page = requester.page
    requester.go_to("My Requests")
    page.get_by_role("link", name="View AR-").first.click()
    reference = requester.reference
    requester.look_until_status(reference, "Active", within_s=30)
    requester.reveal()
    album.take(
        page,
        "credential",
        "A personal credential, shown once",
        "Made when it is revealed, sent to the server as a verifier only, kept nowhere. The password is covered here.",
        full=True,
    )
    requester.ask_for(
        "Orders read-only", "orders orders_read", "4h", "Look into order 117, OPS-12."
    )
    requester.wait_for_status("Active")
    requester.go_to("My Access")
    album.take(
        page,
        "my-access",
        "My Access counts down",
        "What is open, until when, and what is on its way. Within the hour no further code is asked.",
    )
    requester.open_request(reference)
    page.get_by_role("button", name="End now").click()
    requester.look_until_status(reference, "Revoked", within_s=30)
    page.wait_for_timeout(1500)
    requester.open_request(reference)
    album.take(
        page,
        "ended",
        "Ended, and proven",
        "Open sessions are cut, what was left is put away, and the server's own catalogs say that nothing remains.",
        full=True,
    )


def look_after(admin: Person, album: Album) -> None:
    page = admin.page
    admin.go_to("Users")
    page.get_by_role("button", name="Reset MFA for Irma Solberg").click()
    expect(page.get_by_role("dialog", name="Reset MFA")).to_be_visible()
    album.take(
        page,
        "reset-mfa",
        "Reset MFA takes effect at once",
        "In every session of that person. The dialog says what happens, and asks why.",
    )


def read(auditor: Person, album: Album) -> None:
    page = auditor.page
    auditor.go_to("Activity")
    album.take(
        page, "activity", "Activity", "One row for each request, with its evidence and its end."
    )
    auditor.go_to("Audit Log")
    page.get_by_label("Action").select_option("MFA verified")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("link", name="Details of event").first.click()
    album.take(
        page,
        "audit-log",
        "When MFA was performed",
        "By whom, with which authenticator, from where and for which requests; sealed, so that a change shows.",
    )


def in_the_dark(requester: Person, album: Album) -> None:
    page = requester.page
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(NARROW)
    page.goto("/")
    album.take(
        page,
        "narrow-dark",
        "On a phone, at night",
        "The same pages, in both themes and at every width.",
    )


if __name__ == "__main__":
    sys.exit(main())
