"""What saving a flow would do is said before it is saved, and saying it writes nothing."""

import re
from datetime import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accessflows.flows.fingerprint import terms_of, terms_of_draft
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow
from audit.models import Event
from requests_app.deletion.flows import requests_voided_by
from requests_app.models import Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    FlowTargetFactory,
    GroupFactory,
    ResourceFactory,
    UserFactory,
    requester_users_of,
    set_requesters,
)
from tests.forms import requester_fields

NEW = "/access-flows/new/preview/"
WRITING = re.compile(r"INSERT|UPDATE|DELETE", re.IGNORECASE)
LIVE = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def irma(db):
    return UserFactory(name="Irma Solberg", email="irma@example.org")


@pytest.fixture
def flow(irma) -> AccessFlow:
    """A flow with one person who has MFA and one who has not, a waiting request and an open access."""
    petra = UserFactory(name="Petra Person")
    AuthenticatorFactory(user=petra)
    flow = AccessFlowFactory(name="Orders", requester_users=[irma, petra], targets=1)
    AccessRequestFactory(requester=irma, flow=flow, status=Status.PENDING_APPROVAL)
    AccessRequestFactory(requester=petra, flow=flow, status=Status.ACTIVE)
    return flow


def typed(flow: AccessFlow, **changes: object) -> dict[str, object]:
    """The form of a flow as the browser posts it."""
    target = flow.targets.get()
    toggles = (
        "verify_every_request",
        "require_mfa",
        "require_ticket",
        "require_approver_reason",
        "allow_self_approval",
        "allow_delegation",
        "break_glass",
    )
    lists = ("approver_groups", "approver_users", "available_days")
    return {
        **dict.fromkeys(toggles, "off"),
        "mfa_strength": "any",
        **dict.fromkeys(lists, ""),
        "seen_version": flow.version,
        "name": flow.name,
        **requester_fields(users=[user.pk for user in requester_users_of(flow)]),
        "targets": [f"{target.resource_id}:{target.permission_id}"],
        "max_duration": "8h",
        "approval": "automatic",
        "agents": "none",
        "require_justification": "on",
        **changes,
    }


def preview(client, address: str, form: dict[str, object]) -> str:
    answer = client.post(address, form, **LIVE)
    assert answer.status_code == 200
    return " ".join(re.sub(r"</?(strong|a)[^>]*>", "", answer.content.decode()).split())


def address(flow: AccessFlow) -> str:
    return f"/access-flows/{flow.pk}/preview/"


def test_it_counts_who_can_ask_and_who_lacks_mfa(admin_client, flow):
    page = preview(admin_client, address(flow), typed(flow, require_mfa="on"))
    assert "2 users can request; 1 of them has not set up MFA and will see" in page
    assert 'id="mfa-impact" hx-swap-oob="true"' in page


def test_it_names_who_gains_and_who_loses(admin_client, flow, irma):
    nils = UserFactory(name="Nils Newcomer")
    page = preview(
        admin_client, address(flow), typed(flow, **requester_fields(users=[irma.pk, nils.pk]))
    )
    assert "1 more user will be able to request: Nils Newcomer" in page
    assert "1 user will no longer be able to request: Petra Person" in page


def test_it_names_the_requests_that_become_void(admin_client, flow, irma):
    waiting = irma.access_requests.get()
    page = preview(admin_client, address(flow), typed(flow, require_mfa="on"))
    assert (
        f"1 pending request will be cancelled and must be requested again: {waiting} by Irma"
        in page
    )
    assert "1 active grant keeps its terms and expiry" in page


def test_another_name_voids_nothing(admin_client, flow):
    page = preview(admin_client, address(flow), typed(flow, name="Orders, renamed"))
    assert "No pending request is affected" in page


def test_a_form_as_saved_changes_nothing(admin_client, flow):
    assert "Nothing changed yet" in preview(admin_client, address(flow), typed(flow))


def test_an_approver_group_without_members_is_told(admin_client, flow):
    nobody = GroupFactory(name="Billing owners", members=[UserFactory(is_active=False)])
    form = typed(flow, approval="any_of", approver_groups=[nobody.pk])
    assert "Billing owners has no active members" in preview(admin_client, address(flow), form)


def test_half_a_form_says_whom_it_reaches_so_far(admin_client, flow):
    page = preview(
        admin_client, NEW, requester_fields(users=[user.pk for user in requester_users_of(flow)])
    )
    assert "Matches 2 active users" in page
    assert "Complete the form to see who can request" in page


def test_without_script_review_shows_the_form_with_all_that_was_typed(admin_client, flow):
    page = admin_client.post(address(flow), typed(flow, max_duration="2h")).content.decode()
    assert f'action="/access-flows/{flow.pk}/edit/"' in page
    assert 'value="2h"' in page
    assert "pending request</strong> will be cancelled" in page


def test_without_script_review_says_what_does_not_hold(admin_client, flow):
    AccessFlowFactory(name="Billing")
    answer = admin_client.post(address(flow), typed(flow, name="BILLING"))
    assert answer.status_code == 422
    assert "Another access flow has this name" in answer.content.decode()


def test_it_writes_nothing(admin_client, flow):
    before = terms_of(flow)
    with CaptureQueriesContext(connection) as queries:
        admin_client.post(address(flow), typed(flow, require_mfa="on"), **LIVE)
        admin_client.post(NEW, typed(flow, name="Another"))
    written = [query["sql"] for query in queries if WRITING.match(query["sql"])]
    assert written == []
    assert terms_of(AccessFlow.objects.get()) == before
    assert not Event.objects.filter(event__startswith="flow:").exists()


def test_what_is_foreseen_is_what_is_saved(db):
    """A draft of the terms a flow has is the flow, to the letter: so is its fingerprint."""
    people, group = UserFactory.create_batch(3), GroupFactory()
    flow = AccessFlowFactory(
        requester_users=people,
        requester_groups=[group],
        approver_users=people[:1],
        approver_groups=[group],
        approval="any_of",
        available_days=[0, 4],
        available_from=time(9),
        available_until=time(17),
        available_zone="Europe/Helsinki",
    )
    for name in ("Zoo", "_apple", "apple", "Éclair"):
        FlowTargetFactory(flow=flow, resource=ResourceFactory(name=name))
    flow.refresh_from_db()
    assert terms_of_draft(FlowInput.of(flow)) == terms_of(flow)


def test_what_was_void_before_is_not_counted_again(flow, irma):
    irma.access_requests.update(flow_fingerprint="f" * 64)
    assert requests_voided_by(flow, "0" * 64).count == 0


def test_the_panel_asks_as_often_for_many_people(admin_client, flow, irma):
    form = typed(flow, require_mfa="on")

    def questions() -> int:
        with CaptureQueriesContext(connection) as queries:
            preview(admin_client, address(flow), form)
        return len(queries)

    few = questions()
    set_requesters(flow, users=[irma, *UserFactory.create_batch(100)])
    for _ in range(20):
        AccessRequestFactory(requester=irma, flow=flow, status=Status.PENDING_MFA)
    form = typed(flow, require_mfa="on")
    assert questions() == few
