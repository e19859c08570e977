"""The history of a flow: every version with what changed, by whom, and the switches between them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from accessflows.flows.diff import difference
from accessflows.flows.fingerprint import terms_of
from accessflows.flows.history import PAGE_SIZE, create_version, history_page
from accessflows.flows.services import change_flow, set_flow_active
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow
from accessflows.requesters import named
from apono_portal.core.web.client import SYSTEM
from tests.factories import (
    AccessFlowFactory,
    FlowTargetFactory,
    UserFactory,
    fresh_window,
    take_fingerprint,
)


@pytest.fixture
def flow(db, admin_user) -> AccessFlow:
    petra = UserFactory(name="Petra Person", email="petra@example.org")
    flow = AccessFlowFactory(name="Orders", requester_users=[petra], targets=1, version=0)
    create_version(flow=flow, changed_by=admin_user)
    return flow


def change(flow: AccessFlow, by: object, **terms: object) -> None:
    changed = replace(FlowInput.of(flow), **terms)
    change_flow(
        actor=by,
        window=fresh_window(by),
        flow=flow,
        terms=changed,
        seen_version=flow.version,
        client_info=SYSTEM,
    )
    flow.refresh_from_db()


def page_of(client, flow) -> str:
    return " ".join(client.get(f"/access-flows/{flow.pk}/history/").content.decode().split())


def test_a_version_shows_what_changed_and_who_saved_it(auditor_client, flow, admin_user):
    change(flow, admin_user, require_mfa=True, max_duration=timedelta(hours=2))
    page = page_of(auditor_client, flow)
    assert "Version 2" in page
    assert "Ada Admin" in page
    assert "<s>8 h</s>" in page
    assert "<strong>2 h</strong>" in page


def test_lists_show_what_was_added_and_removed(auditor_client, flow, admin_user):
    irma = UserFactory(name="Irma Solberg", email="irma@example.org")
    change(flow, admin_user, requesters=named(users=[irma.pk]))
    page = page_of(auditor_client, flow)
    assert "Removed: </span>User is Petra Person &lt;petra@example.org&gt;" in page
    assert "Added: </span>User is Irma Solberg &lt;irma@example.org&gt;" in page


def test_a_new_address_behind_the_same_name_is_shown(flow):
    before = terms_of(flow)
    integration = flow.targets.get().resource.integration
    integration.host = "db.example.org"
    integration.save()
    [changed] = difference(before, terms_of(flow))
    assert "db.example.org" in changed.added[0]
    assert "127.0.0.1" in changed.removed[0]


def test_deactivating_is_shown_between_versions(flow, admin_user):
    set_flow_active(
        actor=admin_user,
        window=fresh_window(admin_user),
        flow=flow,
        is_active=False,
        client_info=SYSTEM,
    )
    change(flow, admin_user, require_mfa=True)
    _, entries = history_page(flow.pk, None)
    shown = [entry.version.version if entry.version else entry.event.event for entry in entries]
    assert shown == [2, "flow:deactivate", 1]


def test_an_entry_of_an_older_page_is_compared_across_the_pages(flow, admin_user):
    for hours in range(2, PAGE_SIZE + 3):
        flow.max_duration = timedelta(hours=hours)
        take_fingerprint(flow)
        create_version(flow=flow, changed_by=admin_user)
    newest, _ = history_page(flow.pk, "1")
    assert newest.paginator.count == PAGE_SIZE + 2
    for page in ("1", "2"):
        shown = [entry for entry in history_page(flow.pk, page)[1] if entry.version]
        assert all(entry.differences for entry in shown if entry.version.version > 1)


def test_a_flow_that_was_made_without_a_version_has_an_empty_history(auditor_client):
    flow = AccessFlowFactory()
    assert auditor_client.get(f"/access-flows/{flow.pk}/history/").status_code == 200


@pytest.mark.parametrize("number", [987654321, 10**30])
def test_a_flow_that_never_was_has_no_history(admin_client, number):
    assert admin_client.get(f"/access-flows/{number}/history/").status_code == 404


def test_the_page_makes_as_many_queries_for_many_versions(
    admin_client, flow, admin_user, questions_of
):
    change(flow, admin_user, require_mfa=True)
    address = f"/access-flows/{flow.pk}/history/"
    few = questions_of(admin_client, address)
    for hours in range(2, 20):
        change(flow, admin_user, max_duration=timedelta(hours=hours))
    assert questions_of(admin_client, address) == few


def test_the_page_says_what_its_targets_promise(admin_client):
    flow = AccessFlowFactory()
    integration = FlowTargetFactory(flow=flow).resource.integration
    type(integration).objects.filter(pk=integration.pk).update(kind="valkey")
    page = admin_client.get(f"/access-flows/{flow.pk}/history/").content.decode()
    assert "The server enforces no end" in page
    assert integration.name in page
