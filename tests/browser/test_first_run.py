"""The first whole run: from a started demo to a real credential that really ends.

A real web server and worker, a real PostgreSQL target, a real browser; the authenticator knows only
the picture of the QR code, and the database client only what the page shows.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import BrowserContext, expect

from apono_portal.demo.postgres_binaries import available_versions
from tests.browser.hands import Keyboard, Mouse
from tests.browser.person import Person
from tests.fixtures.stack import Stack, stack  # noqa: F401

pytestmark = pytest.mark.target

Credential = dict[str, str]
# `make check-pages` walks it in every way, the other runs with the mouse.
WAYS = ["with the mouse", "by keyboard", "without script"]
LOOKED_AT = WAYS[1:] if os.environ.get("FULL_LOOK") else WAYS[:1]


@pytest.fixture(params=LOOKED_AT)
def arrive(
    request: pytest.FixtureRequest,
    stack: Stack,  # noqa: F811
    new_context: Callable[..., BrowserContext],
) -> Callable[[str], Person]:
    """``arrive("admin")`` is that person of the demo in a browser of their own, signed in."""
    has_script = request.param != "without script"
    hand = Keyboard() if request.param == "by keyboard" else Mouse()

    def come(role: str) -> Person:
        context = new_context(base_url=stack.url, java_script_enabled=has_script)
        account, page = stack.accounts[role], context.new_page()
        person = Person(page, account["email"], account["password"], None, has_script, hand)
        person.sign_in()
        return person

    return come


def test_from_the_first_sign_in_to_a_credential_that_ends(arrive):
    admin, requester = arrive("admin"), arrive("requester")
    admin.set_up_mfa()
    short, short_session = open_access_for_a_minute(requester)
    create_a_flow_and_protect_it(admin)
    first, second = park_two_requests(requester)
    release_both_with_the_code_that_turns_mfa_on(requester, first, second)
    use_and_end(requester, first)
    ask_again_without_a_code(requester)
    ask_again_with_a_code(requester)
    decide(arrive("approver"), requester)
    expire(requester, short, short_session)
    reset_mfa(admin, requester)
    read_the_record(arrive("auditor"), first, second)


def create_a_flow_and_protect_it(admin: Person) -> None:
    page = admin.page
    admin.go_to("Access Flows")
    admin.hand.press(page.get_by_role("link", name="Create Access Flow"))
    admin.hand.press(page.get_by_role("link", name="Self Serve"))
    admin.hand.write(page.get_by_label("Access Flow Name"), "Orders for support")
    add_requesters(admin, "Support")
    admin.hand.tick(page.get_by_label("Demo PostgreSQL / orders · orders_read"))
    admin.hand.write(page.get_by_label("Max duration"), "1h")
    save(admin)
    expect(page.get_by_text("Off", exact=True)).to_be_visible()
    admin.hand.press(page.get_by_role("link", name="Done"))

    admin.hand.press(page.get_by_role("button", name="Actions for Orders for support"))
    admin.hand.press(page.get_by_role("link", name="Edit").locator("visible=true"))
    expect(page.get_by_role("heading", name="Edit Access Flow")).to_be_visible()
    admin.hand.tick(page.get_by_role("switch", name="Require MFA"))
    save(admin)
    admin.hand.press(page.get_by_role("link", name="Done"))
    row = page.get_by_role("row").filter(has_text="Orders for support")
    expect(row.get_by_text("Required")).to_be_visible()


def add_requesters(admin: Person, group: str) -> None:
    """Let a group request: the first condition is about a group, which a search finds."""
    conditions = admin.page.locator("#conditions")
    search = conditions.get_by_role("searchbox", name="Search groups")
    admin.hand.write(search, group)
    find = conditions.get_by_role("button", name="Find")
    if find.first.is_visible():  # without script
        admin.hand.press(find.first)
    admin.hand.tick(conditions.get_by_role("checkbox", name=group))


def save(admin: Person) -> None:
    admin.hand.press(admin.page.get_by_role("button", name="Save Access Flow"))
    expect(admin.page.get_by_role("heading", name="Access flow saved")).to_be_visible()


def open_access_for_a_minute(requester: Person) -> tuple[str, psycopg.Connection]:
    """Access without MFA, so short that it ends by itself during the walk."""
    requester.ask_for("Orders staging", "orders_staging orders_read", "1m", "Look at the copy")
    requester.wait_for_status("Active")
    return requester.reference, log_in(requester.reveal())


def park_two_requests(requester: Person) -> tuple[str, str]:
    """Without MFA each request is pending_mfa, and the page to set it up comes next."""
    page = requester.page
    references = []
    for justification in ("Check order 117", "Check order 118"):
        requester.ask_for("Orders read-only", "orders orders_read", "1h", justification)
        expect(page.get_by_role("heading", name="Security & Privacy", level=1)).to_be_visible()
        requester.go_to("My Requests")
        newest = page.get_by_role("link", name="View AR-").first
        references.append(newest.get_attribute("aria-label").removeprefix("View "))
        requester.open_request(references[-1])
        requester.wait_for_status("Pending MFA")
    return references[0], references[1]


def release_both_with_the_code_that_turns_mfa_on(
    requester: Person, first: str, second: str
) -> None:
    requester.set_up_mfa()
    for reference in (first, second):
        requester.open_request(reference)
        requester.wait_for_status("Active")


def use_and_end(requester: Person, reference: str) -> None:
    requester.open_request(reference)
    status = requester.page.get_by_role("region", name="Status")
    expect(status.get_by_role("timer")).to_be_visible()
    credential = requester.reveal()
    session = log_in(credential)
    assert session.execute("SELECT count(*) FROM sales.orders").fetchone() == (240,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("DELETE FROM sales.orders")
    assert paste_into_a_shell(credential) == "240"

    requester.open_request(reference)
    assert credential["Password"] not in requester.page.content()
    requester.hand.press(requester.page.get_by_role("button", name="Revoke now"))
    requester.hand.press(requester.page.get_by_role("button", name="Revoke access"))
    requester.wait_for_status("Revoked")
    assert_over(session, credential)


def log_in(credential: Credential) -> psycopg.Connection:
    return psycopg.connect(
        host=credential["Host"],
        port=credential["Port"],
        dbname=credential["Database"],
        user=credential["User"],
        password=credential["Password"],
        connect_timeout=5,
        autocommit=True,
    )


def paste_into_a_shell(credential: Credential) -> str:
    """Run the psql line as shown; the password is typed, not part of it."""
    command = shlex.split(credential["Command"])
    assert credential["Password"] not in credential["Command"]
    programs = [folder / "psql" for folder in available_versions().values()]
    command[0] = str(next(path for path in [*programs, Path("/usr/bin/psql")] if path.exists()))
    query = ["--no-psqlrc", "-Atc", "SELECT count(*) FROM sales.orders"]
    answer = subprocess.run(
        [*command, *query],
        env={"PGPASSWORD": credential["Password"], "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def assert_over(session: psycopg.Connection, credential: Credential | None) -> None:
    """The open session is cut, and a new one is refused."""
    with session, pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    if credential:
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            log_in(credential)


def ask_again_without_a_code(requester: Person) -> None:
    """The window is open: no code is asked."""
    requester.ask_for("Orders read-only", "orders orders_read", "30m", "Once more")
    requester.wait_for_status("Active")


def ask_again_with_a_code(requester: Person) -> None:
    """The window is closed: the request waits for a code."""
    page = requester.page
    page.goto("/account/security/")
    requester.hand.press(page.get_by_role("button", name="Close window"))
    expect(page.get_by_text("Not verified", exact=True)).to_be_visible()
    requester.ask_for("Orders read-only", "orders orders_read", "30m", "And once more")
    requester.verify()
    expect(page.get_by_text("Released: AR-")).to_be_visible()
    requester.wait_for_status("Active")


def decide(approver: Person, requester: Person) -> None:
    """An approver, verified by turning MFA on, lets one request through and turns another down."""
    references = []
    for justification in ("Mend invoice 7", "Mend all invoices"):
        requester.ask_for("Billing read-write", "billing billing_write", "1h", justification)
        requester.wait_for_status("Pending Approval")
        references.append(requester.reference)
    approved, rejected = references

    page, queue = approver.page, re.compile("/approvals/$")
    approver.set_up_mfa()
    page.goto(f"/approvals/{approved}/")
    approver.hand.press(page.get_by_role("button", name="Approve"))
    expect(page).to_have_url(queue)
    page.goto(f"/approvals/{rejected}/")
    approver.hand.write(page.get_by_label("Reason"), "One invoice at a time.")
    approver.hand.press(page.get_by_role("button", name="Reject"))
    expect(page).to_have_url(queue)

    requester.look_until_status(approved, "Active", within_s=30)
    requester.look_until_status(rejected, "Rejected", within_s=5)
    expect(requester.page.get_by_text("One invoice at a time.").first).to_be_visible()


def expire(requester: Person, reference: str, session: psycopg.Connection) -> None:
    """The minute ran out meanwhile: nobody did anything, and the session is cut."""
    requester.look_until_status(reference, "Expired", within_s=90)
    assert_over(session, None)


def reset_mfa(admin: Person, requester: Person) -> None:
    """The requester's session ends at once; after signing in the banner is back."""
    page = admin.page
    admin.go_to("Users")
    admin.hand.write(page.get_by_label("Search by name or email"), "irma")
    admin.hand.press(page.get_by_role("button", name="Search"))
    expect(page.get_by_role("img", name="MFA set up")).to_be_visible()
    admin.hand.press(page.get_by_role("button", name="Reset MFA for Irma Solberg"))
    dialog = page.get_by_role("dialog", name="Reset MFA")
    admin.hand.write(dialog.get_by_label("Reason"), "New phone")
    admin.hand.press(dialog.get_by_role("button", name="Reset MFA"))
    expect(page.get_by_role("button", name="Reset MFA for Irma Solberg")).to_have_count(0)

    requester.page.goto("/requests/")
    expect(requester.page.get_by_role("button", name="Sign in")).to_be_visible()
    requester.sign_in()
    expect(requester.page.get_by_role("link", name="Set Up MFA")).to_be_visible()


def read_the_record(auditor: Person, first: str, second: str) -> None:
    page = auditor.page
    auditor.go_to("Audit Log")
    auditor.hand.press(page.get_by_role("link", name="Last 24 hours"))  # without the demo's history
    rows = page.get_by_role("table").first
    seen = ("MFA reset", "Access revoked", "Access expired", "Credential revealed", "MFA verified")
    for text in seen:
        auditor.hand.choose(page.get_by_label("Action"), text)
        auditor.hand.press(page.get_by_role("button", name="Apply"))
        expect(rows.get_by_role("rowheader", name=text).first).to_be_visible()
    auditor.hand.write(page.get_by_role("searchbox", name="Actor", exact=True), "Irma Solberg")
    auditor.hand.press(page.get_by_role("button", name="Apply"))
    auditor.hand.press(page.get_by_role("link", name="Details of event").last)
    details = page.locator("tr.details")
    for text in ("Irma Solberg", "requester@demo.example", "127.0.0.1", "Authenticator"):
        expect(details.get_by_text(text).first).to_be_visible()
    for reference in (first, second):
        expect(details.get_by_role("link", name=reference, exact=True)).to_be_visible()
