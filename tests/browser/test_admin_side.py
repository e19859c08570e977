"""Users, Insights and Verification in a real browser: the admin acts, the auditor reads, others see nothing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Page, expect

from apono_portal.users.models import Role, User
from audit.events import EventName
from audit.integrity.background_verification import LogVerifier
from audit.integrity.checkpoints import write_checkpoints
from audit.outbox.deliveries import deliver_due
from audit.services import record
from requests_app.insights.daily_rollup import update_daily_figures
from requests_app.models import Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)
LOOKS = os.environ.get("SCREENSHOTS")  # a folder, to look at what was walked
PLACES = ("users", "insights", "audit-log/verification")


@pytest.fixture
def signed_in_as(page: Page, live_server, signed_in, verified) -> Callable[[Role], Page]:
    """A portal with people, a request on the record and figures, and a browser of somebody."""
    irma = UserFactory(name="Irma Solberg", email="irma@example.org")
    luca = UserFactory(name="Luca Moretti", email="luca@example.org")
    flow = AccessFlowFactory(name="Billing write", require_mfa=True, requester_users=[irma, luca])
    ask = AccessRequestFactory(requester=irma, flow=flow, status=Status.REJECTED)
    record(event=EventName.REQUEST_REJECT, actor=None, target=ask, request=ask)

    def sign_in(role: Role) -> Page:
        person = UserFactory(name="Robin Reader", role=role)
        write_checkpoints(timezone.now())
        update_daily_figures(timezone.now())
        client = verified(person) if role == Role.ADMIN else signed_in(person)
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}
        page.context.add_cookies([cookie])
        page.goto(live_server.url)
        return page

    return sign_in


def go_to(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def violations(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:120]}" for rule in violations for node in rule["nodes"]]


def test_an_admin_finds_reminds_and_deactivates(signed_in_as, settings):
    settings.EMAIL_CONFIGURED = True
    page = signed_in_as(Role.ADMIN)
    go_to(page, "Insights")
    page.get_by_role("link", name="Show them").click()
    expect(page.get_by_role("rowheader")).to_have_text(["LMLuca Morettiluca@example.org"])
    page.get_by_role("button", name="Remind users without MFA").click()
    expect(page.get_by_text("Sending 1 MFA reminder.")).to_be_visible()
    assert deliver_due(timezone.now()) == 1
    page.get_by_label("Search by name or email").fill("luc")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Luca Moretti").click()
    page.get_by_role("link", name="Deactivate").click()
    page.get_by_role("button", name="Deactivate user").click()
    expect(page.get_by_text("Luca Moretti was deactivated.")).to_be_visible()
    assert not User.objects.get(email="luca@example.org").is_active


def test_an_auditor_sees_and_changes_nothing_but_may_verify(signed_in_as):
    page = signed_in_as(Role.AUDITOR)
    go_to(page, "Users")
    expect(page.get_by_role("img", name="MFA set up")).to_have_count(1)
    for name in ("Add user", "Remind users without MFA", "Reset MFA"):
        expect(page.locator("main").get_by_text(name)).to_have_count(0)
    go_to(page, "Insights")
    chart = page.get_by_role("img", name="1 rejected. Most on")
    expect(chart).to_be_visible()
    page.get_by_text("Show as table").first.click()
    expect(page.get_by_role("columnheader", name="Rejected")).to_be_visible()
    go_to(page, "Audit Log")
    page.get_by_role("button", name="Verify now").click()
    expect(page.get_by_text("Waiting for a worker.")).to_be_visible()
    LogVerifier()(timezone.now())
    expect(page.get_by_text("events checked")).to_be_visible()


def test_a_requester_is_told_there_is_no_such_page(signed_in_as, live_server, watch):
    page = signed_in_as(Role.MEMBER)
    names = page.get_by_role("navigation", name="Main").get_by_role("link").all_inner_texts()
    assert not {"Users", "Activity", "Insights", "Audit Log"} & set(names)
    for place in (*PLACES, "activity", "audit-log"):
        answer = page.request.get(f"{live_server.url}/{place}/")
        assert answer.status == 404


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_the_pages_are_accessible_and_fit(signed_in_as, live_server, theme, width):
    page = signed_in_as(Role.ADMIN)
    page.emulate_media(color_scheme=theme)
    for place in PLACES:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{live_server.url}/{place}/")
        if LOOKS:
            name = place.replace("/", "-")
            page.screenshot(path=str(Path(LOOKS) / f"{name}-{theme}.png"), full_page=True)
        assert violations(page) == [], place
        page.set_viewport_size({"width": 320, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == 320, place
