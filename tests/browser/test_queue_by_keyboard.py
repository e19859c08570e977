"""The queue of approvals in a real browser, worked by keyboard alone."""

from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect

from requests_app.models import AccessRequest, Status
from tests.conftest import BACKEND
from tests.factories import AccessFlowFactory, AccessRequestFactory, GroupFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def approver(page: Page, live_server) -> Page:
    """Signed in, with three requests waiting: of Hannah, of Samuel, of Daniel."""
    theo = UserFactory(name="Theo Brandt")
    people = [UserFactory(name=name) for name in ("Hannah Fischer", "Samuel Okoye", "Daniel Cho")]
    flow = AccessFlowFactory(
        name="Orders write",
        approval="any_of",
        approver_groups=[GroupFactory(name="Orders owners", members=[theo, UserFactory()])],
        requester_users=people,
        targets=1,
    )
    for each in people:
        AccessRequestFactory(
            requester=each,
            flow=flow,
            status=Status.PENDING_APPROVAL,
            duration=timedelta(hours=2),
            justification="Release 19 orders stuck in packing, OPS-4830.",
        )
    client = Client()
    client.force_login(theo, backend=BACKEND)
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}
    page.context.add_cookies([cookie])
    page.goto(f"{live_server.url}/approvals/")
    return page


def asks(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", level=2, name=f"{name} requests")).to_be_visible()
    expect(page.locator(".queue-list a:focus")).to_have_count(1)  # its keys work from here on


def test_the_queue_is_worked_by_keyboard_alone(approver: Page):
    page, keys = approver, approver.keyboard
    asks(page, "Hannah Fischer")
    keys.press("j")
    asks(page, "Samuel Okoye")
    keys.press("ArrowDown")
    asks(page, "Daniel Cho")
    keys.press("k")
    asks(page, "Samuel Okoye")
    keys.press("r")
    keys.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Enter a reason")
    page.get_by_label("Reason").focus()
    keys.type("jack asks, use the copy instead")
    expect(page.get_by_label("Reason")).to_have_value("jack asks, use the copy instead")
    keys.press("Escape")
    keys.press("r")
    keys.press("Enter")
    expect(page.get_by_text("was rejected")).to_be_visible()
    asks(page, "Hannah Fischer")
    keys.press("a")
    keys.press("Enter")
    expect(page.get_by_text("was approved. Access is being provisioned")).to_be_visible()
    asks(page, "Daniel Cho")
    found = {each.requester.name: each.status for each in AccessRequest.objects.all()}
    assert found == {
        "Hannah Fischer": Status.GRANTING,
        "Samuel Okoye": Status.REJECTED,
        "Daniel Cho": Status.PENDING_APPROVAL,
    }
    violations = Axe().run(page).response["violations"]
    assert [rule["id"] for rule in violations] == []
