"""Every page in a real browser: accessible, within the screen, quiet, and not shifting after load.

``FULL_LOOK=1`` looks at every page in both themes at four widths (`make check-pages`); without it pages are
looked at wide and light, or narrow and dark, in turn.
"""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import resolve
from playwright.sync_api import Page

from tests.architecture.test_urls import VIEWS
from tests.browser.pages import NO_PAGE, STRANGER, pages_of
from tests.browser.world import World

pytestmark = pytest.mark.django_db(transaction=True)
LOOKS = os.environ.get("SCREENSHOTS")  # a folder, to look at what was walked
FULL = bool(os.environ.get("FULL_LOOK"))
# Nothing may shift, not even while the page arrives.
SHIFTS = """() => new Promise(resolve => {
  const moved = [];
  new PerformanceObserver(list => {
    for (const shift of list.getEntries()) if (!shift.hadRecentInput)
      moved.push(`${shift.value.toFixed(4)} of ${shift.sources.map(
        ({node, previousRect: was, currentRect: is}) =>
          `${node?.className || node?.nodeName} ${was.x},${was.y} to ${is.x},${is.y}`)}`);
  }).observe({type: "layout-shift", buffered: true});
  setTimeout(() => resolve(moved), 60);
})"""
# What sticks out of its box where there is room for it: cut off, or a table to be pushed to and fro.
STICKS_OUT = """() => [...document.querySelectorAll(".card, .dialog, .crumbs, .table-wrap, .queue-list a")]
  .filter(box => box.scrollWidth > box.clientWidth)
  .map(box => `${box.className || box.nodeName} sticks out by ${box.scrollWidth - box.clientWidth}`)"""
ROOMY = {390, 1280, 1920}  # in between, wide tables are pushed
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ALL_LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1280, 390, 768, 1920)]
IN_TURN = [("light", 1280), ("dark", 390)]


def troubles_of(page: Page) -> list[str]:
    """What is wrong with the page as it stands, once it is drawn."""
    page.evaluate("new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))")
    options = {"runOnly": TAGS, "resultTypes": ["violations"]}  # what passes is not sent here
    violations = Axe().run(page, options=options).response["violations"]
    troubles = [
        f"{rule['id']}: {node['html'][:160]}" for rule in violations for node in rule["nodes"]
    ]
    over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return troubles + ([f"scrolls sideways by {over} pixels"] if over > 0 else [])


def look_at(page: Page, url: str, name: str, looks: list[tuple[str, int]]) -> list[str]:
    troubles: list[str] = []
    for theme, width in looks:
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(url)
        troubles += [f"{name} {theme} {width} shifts by {moved}" for moved in page.evaluate(SHIFTS)]
        troubles += [f"{name} {theme} {width}: {trouble}" for trouble in troubles_of(page)]
        if width in ROOMY:
            troubles += [
                f"{name} {theme} {width}: {element}" for element in page.evaluate(STICKS_OUT)
            ]
        if LOOKS:
            shown = f"{name}-{theme}-{width}.png"
            page.screenshot(path=str(Path(LOOKS) / shown), full_page=True)
    return troubles


def names_visited(addresses: list[str]) -> set[str]:
    names = set()
    for address in addresses:
        if address != "/nothing-here/":
            names.add(resolve(address.partition("?")[0]).view_name)
    return names


@pytest.mark.parametrize("part", range(2))
def test_every_page_is_accessible_and_fits(new_context, live_server, part: int) -> None:
    world = World.made()
    troubles: list[str] = []
    all_of_them = list(pages_of(world))
    halfway = len(all_of_them) // 2
    mine = all_of_them[:halfway] if part == 0 else all_of_them[halfway:]
    for role in dict.fromkeys(role for role, _ in mine):
        context = new_context(reduced_motion="reduce")
        if role != STRANGER:
            context.add_cookies([world.cookie(role, live_server.url)])
        page = context.new_page()
        page.goto(live_server.url + "/sign-in/")  # a browser that has just started seeks its fonts
        addresses = [address for visitor, address in mine if visitor == role]
        for number, address in enumerate(addresses):
            name = f"{role or 'stranger'}-{number}-{address.strip('/').replace('/', '.')}"[:80]
            looks = ALL_LOOKS if FULL else [IN_TURN[number % 2]]
            troubles += look_at(page, live_server.url + address, name, looks)
        context.close()
    assert not troubles, "\n".join(troubles)


def test_every_address_is_a_page_that_is_looked_at_or_none() -> None:
    visited = names_visited([address for _, address in pages_of(World.made())])
    known = visited.union(*NO_PAGE.values())
    assert sorted(set(VIEWS) - known) == []
