"""Access flows and checks in a real browser: as the admin, the auditor and the requester."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Page, expect

from accessflows.integrations.scheduled_checks import run_requested_checks
from accessflows.models import AccessFlow
from apono_portal.users.models import User
from requests_app.models import Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    IntegrationFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)
LOOKS = os.environ.get("SCREENSHOTS")  # a folder, to look at what was walked


@pytest.fixture
def flow() -> AccessFlow:
    """A flow of two people, through which one has access and one waits."""
    irma, petra = UserFactory(name="Irma Solberg"), UserFactory(name="Petra Person")
    flow = AccessFlowFactory(name="Orders write", requester_users=[irma, petra], targets=1)
    AccessRequestFactory(requester=irma, flow=flow, status=Status.PENDING_APPROVAL)
    AccessRequestFactory(requester=petra, flow=flow, status=Status.ACTIVE)
    return flow


@pytest.fixture
def browser_of(page: Page, live_server, signed_in, verified) -> Callable[[User], Page]:
    """``browser_of(user)``: the page, signed in as that person; an admin has verified."""

    def open_page(user: User) -> Page:
        client = verified(user) if user.is_account_admin else signed_in(user)
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}
        page.context.add_cookies([cookie])
        page.goto(f"{live_server.url}/access-flows/", wait_until="load")
        return page

    return open_page


def violations(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:120]}" for rule in violations for node in rule["nodes"]]


def look(page: Page, name: str) -> None:
    if LOOKS:
        page.screenshot(path=str(Path(LOOKS) / f"{name}.png"), full_page=True)


def choose(page: Page, name: str, action: str) -> None:
    """Take an action from the menu of a flow's row."""
    page.get_by_role("button", name=f"Actions for {name}").click()
    page.get_by_role("link", name=action, exact=True).click()


def test_the_form_says_what_saving_does_while_it_is_filled_in(browser_of, flow):
    page = browser_of(UserFactory(admin=True))
    choose(page, "Orders write", "Edit")
    panel = page.locator("#flow-impact")
    expect(panel.get_by_text("Nothing changed yet")).to_be_visible()
    page.get_by_role("switch", name="Require MFA").check(force=True)
    page.get_by_role("group", name="Users").get_by_label("Petra Person").uncheck()
    expect(panel.get_by_text("1 pending request will be cancelled")).to_be_visible()
    expect(panel.get_by_text("no longer be able to request: Petra Person")).to_be_visible()
    expect(page.get_by_text("Matches 1 active user.")).to_be_visible()
    assert violations(page) == []
    flow.refresh_from_db()
    assert not flow.require_mfa


def test_a_flow_is_duplicated_and_deleted_from_its_row(browser_of, flow):
    page = browser_of(UserFactory(admin=True))
    choose(page, "Orders write", "Duplicate")
    expect(page.get_by_label("Access Flow Name")).to_have_value("Orders write (copy)")
    page.go_back()
    choose(page, "Orders write", "Delete")
    dialog = page.get_by_role("dialog", name="Delete Orders write")
    expect(dialog.get_by_text("1 active request of 1 user is revoked")).to_be_visible()
    assert violations(page) == []
    dialog.get_by_label("Reason").fill("Orders moved away")
    dialog.get_by_role("button", name="Delete access flow").click()
    expect(page.get_by_text("Orders write was deleted.")).to_be_visible()
    assert not AccessFlow.objects.exists()


def test_an_auditor_reads_flows_and_history_and_is_offered_no_change(browser_of, flow):
    page = browser_of(UserFactory(auditor=True))
    expect(page.get_by_role("button", name="Actions for")).to_have_count(0)
    page.get_by_role("link", name="Orders write").click()
    expect(page.get_by_role("heading", name="History of Orders write", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="Edit")).to_have_count(0)
    assert violations(page) == []


def test_a_requester_is_told_there_is_no_such_page(browser_of, flow):
    page = browser_of(User.objects.get(name="Irma Solberg"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("not")
    expect(page.get_by_text("Orders write")).to_have_count(0)


def test_a_check_is_followed_to_its_end(browser_of, live_server):
    integration = IntegrationFactory(name="orders-prod")
    page = browser_of(UserFactory(admin=True))
    page.goto(f"{live_server.url}/integrations/{integration.pk}/")
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text("Waiting for a worker.")).to_be_visible()
    run_requested_checks(timezone.now())
    expect(page.get_by_role("link", name="Done")).to_be_visible()  # by itself
    expect(page.get_by_text("Failed").first).to_be_visible()
    assert violations(page) == []
