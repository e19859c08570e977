"""How long a user with an open window waits from the click on "Request access" to "Active".

It starts the demo as `make run` does and drives a real browser; the time it takes the page to follow
the request is included.
"""

import argparse
import time

from playwright.sync_api import Page, sync_playwright

from bench.environment import temporary_folder
from bench.report import Figure, quantile
from tests.browser.conftest import QUIET
from tests.browser.person import Person
from tests.chromium import SENTENCE, find_chromium
from tests.fixtures.stack import Stack

MAX_S = 2.0
CHECKBOX = "orders orders_read via Orders read-only"


def measure(options: argparse.Namespace) -> list[Figure]:
    chromium = find_chromium()
    if not chromium:
        raise SystemExit(SENTENCE)
    with temporary_folder("active") as folder, sync_playwright() as playwright:
        folder.chmod(0o755)
        stack = Stack(folder)
        try:
            stack.start()
            browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
            person = _signed_in(browser.new_context(base_url=stack.url).new_page(), stack)
            _request_once(person)  # warms up connections, and is not counted
            seconds = [_request_once(person) for _ in range(options.repeats)]
        finally:
            stack.stop()
    return [
        Figure(
            f"active: from click to Active, {name}",
            round(quantile(seconds, share), 3),
            "s",
            bar=bar,
        )
        for name, share, bar in (("p50", 0.5, None), ("p95", 0.95, None), ("max", 1.0, MAX_S))
    ]


def _signed_in(page: Page, stack: Stack) -> Person:
    account = stack.accounts["requester"]
    person = Person(page, account["email"], account["password"])
    person.sign_in()
    person.set_up_mfa()
    return person


def _request_once(person: Person) -> float:
    """Request access, wait for "Active", end it; return the seconds from the click to the word."""
    page = person.page
    person.go_to("New Request")
    page.get_by_role("checkbox", name=CHECKBOX).check()
    page.get_by_label("Duration", exact=True).fill("30m")
    page.get_by_label("Justification").fill("Measure how long one waits for access")
    button = page.get_by_role("button", name="Request access")
    page.get_by_text("Access starts within seconds.").wait_for()
    status = page.locator(".req-head")
    started = time.perf_counter()
    button.click()
    status.get_by_text("Active", exact=True).wait_for(timeout=30_000)
    seconds = time.perf_counter() - started
    page.get_by_role("button", name="Revoke now").click()
    page.get_by_role("button", name="Revoke access").click()
    status.get_by_text("Revoked", exact=True).wait_for(timeout=30_000)
    return seconds
