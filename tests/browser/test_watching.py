"""What the watch over browser tests finds."""

import pytest
from playwright.sync_api import Page

from tests.browser.watching import Watch

pytestmark = pytest.mark.django_db(transaction=True)


def page_saying(page: Page, address: str, html: str, **headers: str) -> None:
    page.route(
        address, lambda route: route.fulfill(content_type="text/html", body=html, headers=headers)
    )
    page.goto(address)
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<link rel="stylesheet" href="/static/css/missing.css">', "answer: 404"),
        ('<p onclick="go()" id="p">x</p>', "console: "),
        ("<style>p{color:red}</style>", "console: "),
    ],
)
def test_the_watch_finds_what_a_page_hides(page, live_server, watch: Watch, html, found):
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'self'"}
    page_saying(page, f"{live_server.url}/spoiled", html, **policy)
    page.locator("body, #p").last.click()  # a handler in the page is refused when it is called
    page.wait_for_timeout(200)
    assert any(trouble.startswith(found) for trouble in watch.troubles)
    watch.troubles.clear()


def test_a_page_that_is_missing_is_no_trouble(page, live_server, watch: Watch):
    assert page.goto(f"{live_server.url}/static/nothing-here").status == 404
    assert watch.troubles == []
