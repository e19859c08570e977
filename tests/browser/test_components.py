"""The parts pages are made of, in a real browser: accessible, within the screen, alive with script."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.browser.component_urls"),
]
PAGE = "/dev/components/"


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_components_are_accessible(page: Page, live_server, theme: str, width: int) -> None:
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(live_server.url + PAGE)
    assert violations(page) == []


def test_components_fit_the_narrowest_screen(page: Page, live_server) -> None:
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto(live_server.url + PAGE)
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_pasted_code_keeps_its_digits(page: Page, live_server) -> None:
    page.goto(live_server.url + PAGE)
    code = page.get_by_label("Six-digit code", exact=True).first
    code.focus()
    page.keyboard.insert_text("123 456")
    expect(code).to_have_value("123456")


def test_copy_button_names_and_copies_its_value(page: Page, live_server) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(live_server.url + PAGE)
    page.get_by_role("button", name="Copy host").click()
    assert page.evaluate("navigator.clipboard.readText()") == "billing-prod.db.example"


def test_narrow_navigation_is_a_drawer(page: Page, live_server) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    page.goto(live_server.url + PAGE)
    link = page.get_by_role("link", name="Approvals")
    expect(link).to_be_hidden()
    page.get_by_role("button", name="Open menu").click()
    expect(link).to_be_visible()


def test_everything_shows_without_script(browser: Browser, live_server) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(live_server.url + PAGE)
    expect(page.get_by_role("timer").first).to_have_text("2 h 18 min left")
    expect(page.get_by_role("button", name="Copy host")).to_have_count(0)
    context.close()
