"""New Request in a browser: found, ticked and sent by keyboard alone, and without script."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from accessflows.models import AccessFlow
from apono_portal.users.models import User
from requests_app.models import AccessRequest, FavoriteFlow, Status
from tests.factories import (
    PASSWORD,
    AccessFlowFactory,
    AccessRequestFactory,
    FlowTargetFactory,
    PermissionFactory,
    ResourceFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "/requests/new/"


@pytest.fixture
def person() -> User:
    """May ask through two flows for two databases."""
    user = UserFactory()
    for name in ("orders", "billing"):
        resource = ResourceFactory(name=name)
        role = PermissionFactory(integration=resource.integration, name=f"{name}_read")
        flow = AccessFlowFactory(name=f"{name} desk", requester_users=[user])
        FlowTargetFactory(flow=flow, resource=resource, permission=role)
    return user


@pytest.fixture
def arrive(live_server, new_context: Callable[..., BrowserContext], person: User):
    def come(**options: bool) -> Page:
        page = new_context(base_url=live_server.url, **options).new_page()
        page.goto(f"/sign-in/?next={NEW}")
        page.get_by_label("Email").fill(person.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="New Request", level=1)).to_be_visible()
        return page

    return come


def tick(page: Page, words: str, name: str) -> None:
    """Search, and tick what is found, with the keyboard."""
    page.get_by_role("searchbox").focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    box = page.get_by_role("checkbox", name=name)
    other = page.get_by_role("checkbox", name="_read").and_(page.locator(":not(:checked)"))
    expect(other).to_have_count(1)
    box.focus()
    page.keyboard.press("Space")


def test_two_flows_by_keyboard_alone(arrive):
    page = arrive()
    tick(page, "orders", "orders orders_read via orders desk")
    tick(page, "billing", "billing billing_read via billing desk")
    expect(page.get_by_text("This creates 2 requests")).to_be_visible()
    page.get_by_label("Justification").focus()
    page.keyboard.type("Backfill carrier_id on 312 orders")
    page.get_by_label("Ticket").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="2 requests created")).to_be_visible()
    assert {each.flow_name for each in AccessRequest.objects.all()} == {
        "orders desk",
        "billing desk",
    }


def test_a_usual_duration_is_marked_however_it_came(arrive):
    page = arrive()
    duration = page.get_by_label("Duration", exact=True)
    expect(page.get_by_role("radio", name="1 h")).to_be_checked()  # what the form begins with
    page.get_by_text("4 h", exact=True).click()
    expect(duration).to_have_value("4 h")
    duration.fill("30m")
    expect(page.get_by_role("radio", name="30 min")).to_be_checked()
    duration.fill("35m")
    expect(page.locator("[name=usual]:checked")).to_have_count(0)


def test_a_pick_and_a_star_lose_nothing_that_was_typed(arrive, person):
    flow = AccessFlow.objects.get(name="billing desk")
    AccessRequestFactory(requester=person, flow=flow, status=Status.EXPIRED)
    page = arrive()
    page.get_by_label("Justification").fill("Backfill carrier_id")
    page.get_by_role("link", name="billing desk").click()
    selected = page.get_by_role("checkbox", checked=True)
    expect(selected).to_have_accessible_name("billing billing_read via billing desk")
    star = page.get_by_role("button", name="Favorite: orders desk")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("navigation", name="Quick picks")).to_contain_text("orders desk")
    expect(selected).to_have_count(1)
    expect(page.get_by_label("Justification")).to_have_value("Backfill carrier_id")
    assert FavoriteFlow.objects.get().flow.name == "orders desk"


def test_two_flows_without_script(arrive):
    page = arrive(java_script_enabled=False)
    expect(page.get_by_role("button", name="Request access")).to_be_hidden()
    tick(page, "orders", "orders orders_read via orders desk")
    tick(page, "billing", "billing billing_read via billing desk")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("This creates 2 requests")).to_be_visible()
    assert "csrf" not in page.url
    page.get_by_label("Justification").fill("Backfill carrier_id on 312 orders")
    page.get_by_role("button", name="Request access").click()
    expect(page.get_by_role("heading", name="2 requests created")).to_be_visible()
