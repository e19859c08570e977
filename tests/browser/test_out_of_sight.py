"""A page that follows something by itself rests while its tab is out of sight."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from requests_app.models import Status
from tests.browser.world import World

pytestmark = pytest.mark.django_db(transaction=True)
# A browser without windows calls every tab visible, so the page is told what another browser would tell it.
OUT_OF_SIGHT = """hidden => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  Object.defineProperty(document, "visibilityState", {value: hidden ? "hidden" : "visible", configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def followed(new_context, live_server) -> Page:
    """The page of a request that is being opened."""
    world = World.made()
    context = new_context()
    context.add_cookies([world.cookie("requester", live_server.url)])
    page = context.new_page()
    ask = world.requests[Status.GRANTING]
    page.goto(live_server.url + reverse("requests:detail", args=[ask.pk]))
    return page


def test_a_tab_out_of_sight_asks_nothing_until_it_is_seen_again(followed: Page):
    with followed.expect_request(followed.url):
        pass
    followed.evaluate(OUT_OF_SIGHT, True)
    followed.wait_for_load_state("networkidle")  # what was asked before is answered
    asked: list[str] = []
    followed.on("request", lambda request: asked.append(request.url))
    followed.wait_for_timeout(1500)
    assert asked == []
    with followed.expect_request(followed.url):
        followed.evaluate(OUT_OF_SIGHT, False)
