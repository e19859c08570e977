"""Django admin in a real browser: under the strict policy, accessible, in the portal's colours."""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from playwright.sync_api import Page, expect

from accessflows.flows.services import set_flow_active
from accessflows.models import AccessFlow
from apono_portal.core.web.client import SYSTEM
from apono_portal.users.models import User
from requests_app.models import Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GroupFactory,
    UserFactory,
    fresh_window,
)

pytestmark = pytest.mark.django_db(transaction=True)
LOOKS = os.environ.get("SCREENSHOTS")  # a folder, to look at what was walked
# Of the jQuery that forms of Django admin load: it attempts an inline style, is refused, and goes on.
OF_JQUERY = "Applying inline style violates"
OF_DJANGO = {"empty-table-header"}  # in the head of its tables of related rows


@pytest.fixture
def admin_page(page: Page, live_server, verified) -> Page:
    ada = UserFactory(name="Ada Admin", admin=True)
    irma = UserFactory(name="Irma Solberg", groups=[GroupFactory(name="Engineering")])
    flow = AccessFlowFactory(name="Orders write", requester_users=[irma], targets=1)
    for status in (Status.ACTIVE, Status.EXPIRED, Status.PENDING_APPROVAL):
        AccessRequestFactory(requester=irma, flow=flow, status=status)
    set_flow_active(
        actor=(admin := UserFactory(admin=True)),
        window=fresh_window(admin),
        flow=flow,
        is_active=False,
        client_info=SYSTEM,
    )
    value = verified(ada).cookies[settings.SESSION_COOKIE_NAME].value
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}
    page.context.add_cookies([cookie])
    return page


def look(page: Page, name: str) -> None:
    if LOOKS:
        page.screenshot(path=str(Path(LOOKS) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_its_pages_are_accessible_in_both_themes(admin_page, live_server, watch, theme, width):
    page = admin_page
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    irma = User.objects.get(name="Irma Solberg")
    flow = AccessFlow.objects.get(name="Orders write")
    places = {
        "index": "",
        "list": "requests_app/accessrequest/",
        "person": f"users/user/{irma.pk}/change/",
        "history": f"accessflows/accessflow/{flow.pk}/history/",
        "flow": f"accessflows/accessflow/{flow.pk}/change/",
    }
    violations = {}
    for name, place in places.items():
        page.goto(f"{live_server.url}/admin/{place}")
        look(page, f"admin-{name}-{theme}-{width}")
        rules = Axe().run(page).response["violations"]
        violations[name] = [
            f"{r['id']}: {n['html'][:120]}"
            for r in rules
            for n in r["nodes"]
            if r["id"] not in OF_DJANGO
        ]
    assert violations == {key: [] for key in places}
    expect(page.get_by_text("Orders write").first).to_be_visible()
    watch.troubles[:] = [trouble for trouble in watch.troubles if OF_JQUERY not in trouble]
