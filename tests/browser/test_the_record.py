"""The auditor's side in a real browser: Activity and Audit Log, opened in place, taken out, verified."""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from apono_portal.core.crypto.keyring import chain_keys
from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.verification import verify_log
from audit.services import record
from audit.verify_export.formats import records_in
from audit.verify_export.verifier import Verifier
from requests_app.models import GrantState, Status
from tests.conftest import BACKEND
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    DecisionFactory,
    GrantFactory,
    UserFactory,
    VerificationFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)
LOOKS = os.environ.get("SCREENSHOTS")  # a folder, to look at what was walked


@pytest.fixture
def auditor(page: Page, live_server) -> Page:
    """A browser in which an auditor is signed in, and a portal that has something on the record."""
    irma = UserFactory(name="Irma Solberg")
    flow = AccessFlowFactory(
        name="Billing write", require_mfa=True, requester_users=[irma], targets=2
    )
    for status in (Status.PENDING_MFA, Status.ACTIVE, Status.EXPIRED, Status.REJECTED):
        ask = AccessRequestFactory(requester=irma, flow=flow, status=status)
        record(event=EventName.REQUEST_SUBMIT, actor=irma, target=ask, request=ask)
    decider = UserFactory(name="Tomas Brandt")
    word = VerificationFactory(user=decider, device_name="Aegis on Pixel 8")
    DecisionFactory(request=ask, approver=decider, verdict="reject", verification=word)
    GrantFactory(request=ask, state=GrantState.REMOVED, login="jit_abc", removed_at=timezone.now())
    write_checkpoints(timezone.now())
    verify_log()
    client = Client()
    client.force_login(UserFactory(auditor=True), backend=BACKEND)
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}
    page.context.add_cookies([cookie])
    return page


def violations(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:120]}" for rule in violations for node in rule["nodes"]]


def look(page: Page, name: str) -> None:
    if LOOKS:
        page.screenshot(path=str(Path(LOOKS) / f"{name}.png"), full_page=True)


def opened(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("link", name="Details of").first.click()
    expect(page.locator("tr.details")).to_be_visible()


@pytest.mark.parametrize("place", ["activity", "audit-log"])
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_an_open_row_is_accessible(auditor, live_server, place, theme, width):
    auditor.emulate_media(color_scheme=theme)
    auditor.set_viewport_size({"width": width, "height": 900})
    opened(auditor, f"{live_server.url}/{place}/")
    look(auditor, f"{place}-{theme}-{width}")
    assert violations(auditor) == []


@pytest.mark.parametrize("place", ["activity", "audit-log"])
def test_the_page_fits_the_narrowest_screen(auditor, live_server, place):
    auditor.set_viewport_size({"width": 320, "height": 700})
    opened(auditor, f"{live_server.url}/{place}/")
    auditor.get_by_text("Verify it yourself").click() if place == "audit-log" else None
    assert auditor.evaluate("document.documentElement.scrollWidth") == 320


def test_filters_are_an_address_that_can_be_shared(auditor, live_server):
    auditor.goto(live_server.url + "/")
    auditor.get_by_role("link", name="Activity").click()
    auditor.get_by_label("Status").select_option("Rejected")
    auditor.get_by_label("Requester").fill("irma")
    auditor.get_by_role("button", name="Apply").click()
    expect(auditor.locator("tbody tr")).to_have_count(1)
    auditor.goto(auditor.url)
    expect(auditor.get_by_label("Status")).to_have_value("rejected")
    expect(auditor.get_by_text("1 row", exact=True)).to_be_visible()


def test_what_is_taken_out_verifies(auditor, live_server):
    auditor.goto(live_server.url + "/audit-log/")
    with auditor.expect_download() as taken:
        auditor.get_by_role("link", name="Export JSON Lines").click()
    lines = taken.value.path().read_bytes().splitlines()
    report = Verifier(chain_keys()).run(records_in(lines))
    expect(auditor.get_by_text(f"Exported {len(lines)} lines")).to_be_visible()
    assert report.ok
    assert report.chained == 4


def test_from_a_request_to_its_events(auditor, live_server):
    opened(auditor, f"{live_server.url}/activity/?status=rejected")
    auditor.get_by_role("link", name="Events in the Audit Log").click()
    expect(auditor.locator("tbody tr")).to_have_count(1)
    expect(auditor.get_by_role("rowheader", name="Access requested")).to_be_visible()
