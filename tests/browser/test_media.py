"""What a page does when the medium changes under it: another theme, or paper."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from requests_app.models import Status
from tests.browser.world import World

pytestmark = pytest.mark.django_db(transaction=True)
COLOURS = """async () => {
  for (let frames = 0; frames < 2; frames += 1) await new Promise(requestAnimationFrame);
  return [...document.querySelectorAll("body, body *")].map(element => {
    const {color, backgroundColor, borderTopColor, fill, stroke} = getComputedStyle(element);
    return [element.nodeName, color, backgroundColor, borderTopColor, fill, stroke].join(" ");
  });
}"""


@pytest.fixture
def ended(new_context, live_server) -> Page:
    """The page of a request that has ended, for somebody who wants no motion."""
    world = World.made()
    context = new_context(reduced_motion="reduce", color_scheme="light")
    context.add_cookies([world.cookie("requester", live_server.url)])
    page = context.new_page()
    page.goto(
        live_server.url + reverse("requests:detail", args=[world.requests[Status.EXPIRED].pk])
    )
    return page


def test_a_theme_that_changes_on_an_open_page_is_there_at_once(ended: Page):
    ended.emulate_media(color_scheme="dark")
    changed = ended.evaluate(COLOURS)
    ended.reload()
    assert changed == ended.evaluate(COLOURS)


def test_paper_is_light_and_has_nothing_to_press(ended: Page):
    light = ended.evaluate("getComputedStyle(document.body).color")
    expect(ended.get_by_role("link", name="Request again")).to_be_visible()
    ended.emulate_media(media="print", color_scheme="dark")
    assert ended.evaluate("getComputedStyle(document.body).color") == light
    expect(ended.locator("button, .btn").locator("visible=true")).to_have_count(0)
    for heading in ("Access details", "Timeline", "MFA evidence", "Request"):
        expect(ended.get_by_role("heading", name=heading, exact=True)).to_be_visible()
