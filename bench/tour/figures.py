"""How heavy and how quick the demo's pages are, by the browser's own performance API."""

import json
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page

from tests.fixtures.stack import Stack

REPEATS = 5
PAGES = ("/sign-in/", "/", "/requests/new/", "/requests/", "/account/security/")
READ = """() => new Promise(resolve => {
  let shift = 0, largest = 0;
  new PerformanceObserver(list => { for (const entry of list.getEntries()) shift += entry.value; })
    .observe({type: "layout-shift", buffered: true});
  new PerformanceObserver(list => { for (const entry of list.getEntries()) largest = entry.startTime; })
    .observe({type: "largest-contentful-paint", buffered: true});
  setTimeout(() => {
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    resolve({
      layout_shift: shift,
      first_paint_ms: paint ? paint.startTime : null,
      largest_paint_ms: largest,
    });
  }, 300);
})"""


def measure(browser: Browser, stack: Stack) -> dict[str, Any]:
    """Each page in new browsers that have nothing kept: bytes over the wire, paints, shifts."""
    return {"repeats": REPEATS, "pages": [_page(browser, stack, address) for address in PAGES]}


def _page(browser: Browser, stack: Stack, address: str) -> dict[str, Any]:
    runs = [_visit(browser, stack, address) for _ in range(REPEATS)]
    names = ("bytes", "first_paint_ms", "largest_paint_ms")
    found = {name: round(median(run[name] for run in runs)) for name in names}
    return {"address": address, **found, "layout_shift": max(run["layout_shift"] for run in runs)}


def _visit(browser: Browser, stack: Stack, address: str) -> dict[str, float]:
    context = browser.new_context(base_url=stack.url)
    page = context.new_page()
    page.goto("/sign-in/")  # a browser that has just started still looks for its fonts
    if address != "/sign-in/":
        _sign_in(page, stack)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    received = [0.0]
    session.on(
        "Network.loadingFinished",
        lambda told: received.__setitem__(0, received[0] + told["encodedDataLength"]),
    )
    page.goto(address)
    page.wait_for_load_state("networkidle")
    read: dict[str, float] = page.evaluate(READ)
    context.close()
    return {**read, "bytes": received[0]}


def _sign_in(page: Page, stack: Stack) -> None:
    account = stack.accounts["auditor"]
    page.get_by_label("Email").fill(account["email"])
    page.get_by_label("Password").fill(account["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def write(path: Path, figures: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
    for row in figures["pages"]:
        print(f"{row['address']:<22} {row['bytes']:>7,} bytes  first paint {row['first_paint_ms']} ms  "
              f"largest {row['largest_paint_ms']} ms  shift {row['layout_shift']}")  # fmt: skip
