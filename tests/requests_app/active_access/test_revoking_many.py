"""Admins revoke access one by one, several at once, or everything on a target."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apono_portal.core.web.client import SYSTEM
from audit.events import EventName
from audit.models import Event
from mfa.exceptions import WindowClosed
from requests_app.active_access.services import revoke_everything_on, revoke_selected_access
from requests_app.exceptions import Conflict
from requests_app.grants.revocation import revoke_access
from requests_app.models import AccessRequest, Grant, GrantState, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GrantFactory,
    IntegrationFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
URL = "/active-access/revoke/"
WHY = "The ledger leaks, INC-733"


def revoke(client, *grants: Grant, reason: str = WHY):
    ids = [grant.request_id for grant in grants]
    return client.post(URL, {"request": ids, "reason": reason}, follow=True)


def revoke_all(client, grant: Grant, reason: str = WHY):
    url = f"/active-access/integrations/{grant.integration_id}/revoke/"
    return client.post(url, {"reason": reason}, follow=True)


def grants_on_one_target(number: int) -> list[Grant]:
    first = GrantFactory()
    flow = first.request.flow
    requests = AccessRequestFactory.create_batch(number - 1, flow=flow, status=Status.ACTIVE)
    return [first, *(GrantFactory(request=request) for request in requests)]


def states() -> set[tuple[str, str]]:
    return set(Grant.objects.values_list("state", "request__status"))


REVOKING = (GrantState.REVOKING, Status.REVOKING)
ACTIVE = (GrantState.ACTIVE, Status.ACTIVE)


def test_one_is_revoked_with_its_reason(admin_client, admin_user):
    grant, other = GrantFactory(), GrantFactory()
    assert f"{grant.request.reference} is being revoked" in revoke(admin_client, grant).text
    assert states() == {REVOKING, ACTIVE}
    grant.request.refresh_from_db()
    assert grant.request.message == WHY
    assert grant.request.final_status == Status.REVOKED
    event = Event.objects.get(event=EventName.REQUEST_BEGIN_REVOCATION)
    assert (event.actor_id, event.metadata["reason"]) == (admin_user.pk, WHY)
    other.refresh_from_db()
    assert other.state == GrantState.ACTIVE


def test_confirmation_lists_what_is_selected_once(admin_client):
    grant, other, ended = GrantFactory(), GrantFactory(), AccessRequestFactory(status="expired")
    ids = [grant.request_id, grant.request_id, other.request_id, ended.pk]
    page = admin_client.get(URL, {"request": ids})
    assert page.status_code == 200
    assert [request.pk for request in page.context["selection"].revocable] == [
        grant.request_id,
        other.request_id,
    ]
    assert f"Already ended: {ended.reference}" in page.text
    assert states() == {ACTIVE}


def test_several_are_revoked_with_one_event_each(admin_client):
    grants = [GrantFactory() for _ in range(3)]
    revoke(admin_client, *grants)
    assert states() == {REVOKING}
    assert Event.objects.filter(event=EventName.REQUEST_BEGIN_REVOCATION).count() == 3


def test_what_is_being_provisioned_is_stopped(admin_client):
    waiting = AccessRequestFactory(status=Status.GRANTING)
    admin_client.post(URL, {"request": [waiting.pk], "reason": WHY})
    waiting.refresh_from_db()
    assert waiting.status == Status.CANCELLED


@pytest.mark.parametrize("reason", ["", " ", "...", "x" * 501])
def test_a_reason_is_required(admin_client, reason):
    grant = GrantFactory()
    assert revoke(admin_client, grant, reason=reason).status_code == 422
    assert revoke_all(admin_client, grant, reason=reason).status_code == 422
    assert states() == {ACTIVE}


def test_sent_twice_it_changes_nothing_the_second_time(admin_client):
    grant = GrantFactory()
    revoke(admin_client, grant)
    assert "Nothing was changed" in revoke(admin_client, grant).text
    assert Event.objects.filter(event=EventName.REQUEST_BEGIN_REVOCATION).count() == 1


def test_stale_page_revokes_what_is_left_and_says_what_is_not(admin_client):
    ended, grant = GrantFactory(), GrantFactory()
    revoke_access(actor=ended.request.requester, request=ended.request)
    page = revoke(admin_client, ended, grant).text
    assert f"{grant.request.reference} is being revoked" in page
    assert f"Already ended, and not changed: {ended.request.reference}" in page
    ended.request.refresh_from_db()
    assert ended.request.revoked_by_label == str(ended.request.requester)


@pytest.mark.parametrize("ids", [[], ["x"], ["1e3"], ["9" * 19], list(range(101)), ["999999"]])
def test_nothing_sensible_selected_changes_nothing(admin_client, ids):
    GrantFactory()
    page = admin_client.post(URL, {"request": ids, "reason": WHY}, follow=True)
    assert page.redirect_chain[-1][0] == "/active-access/"
    assert states() == {ACTIVE}


def test_everything_on_a_target_is_revoked_and_nothing_else(admin_client, admin_user):
    grants, elsewhere = grants_on_one_target(3), GrantFactory()
    pending = AccessRequestFactory(flow=grants[0].request.flow, status=Status.PENDING_APPROVAL)
    assert "The access of 3 requests" in revoke_all(admin_client, grants[0]).text
    elsewhere.refresh_from_db()
    pending.refresh_from_db()
    assert (elsewhere.state, pending.status) == (GrantState.ACTIVE, Status.PENDING_APPROVAL)
    assert Grant.objects.filter(state=GrantState.REVOKING).count() == 3
    assert Event.objects.filter(event=EventName.REQUEST_BEGIN_REVOCATION).count() == 3
    event = Event.objects.get(event=EventName.INTEGRATION_REVOKE_ALL)
    assert event.actor_id == admin_user.pk
    assert event.metadata == {"reason": WHY, "requests": 3, "users": 3}


def test_confirmation_says_how_many_users_and_grants(admin_client):
    flow = AccessFlowFactory(targets=2)
    request = AccessRequestFactory(flow=flow, status=Status.ACTIVE)
    integration = GrantFactory(request=request).integration
    AccessRequestFactory(requester=request.requester, flow=flow, status=Status.ACTIVE)
    page = admin_client.get(f"/active-access/integrations/{integration.pk}/revoke/")
    access = page.context["access"]
    assert (access.users, access.requests) == (1, 2)
    assert access.grants + access.elsewhere == 4


def test_everything_revoked_twice_is_one_emergency(admin_client):
    grant = GrantFactory()
    revoke_all(admin_client, grant)
    assert "Nothing was changed" in revoke_all(admin_client, grant).text
    assert Event.objects.filter(event=EventName.INTEGRATION_REVOKE_ALL).count() == 1


def test_statements_grow_by_batches_not_by_rows(open_window_of):
    admin = UserFactory(admin=True)
    window = open_window_of(admin)
    counts = []
    for number in (1, 12):
        grant = grants_on_one_target(number)[0]
        with CaptureQueriesContext(connection) as queries:
            revoke_everything_on(actor=admin, window=window, integration=grant.integration, reason=WHY, client_info=SYSTEM)  # fmt: skip
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_closed_window_revokes_nothing(signed_in, admin_user, admin_client):
    grant = GrantFactory()
    closed = signed_in(admin_user)
    assert "/account/step-up/" in revoke(closed, grant).redirect_chain[0][0]
    assert "/account/step-up/" in revoke_all(closed, grant).redirect_chain[0][0]
    context = {"actor": admin_user, "window": None, "reason": WHY, "client_info": SYSTEM}
    with pytest.raises(WindowClosed):
        revoke_selected_access(**context, request_ids=[grant.request_id])
    with pytest.raises(WindowClosed):
        revoke_everything_on(**context, integration=grant.integration)
    assert states() == {ACTIVE}


@pytest.mark.parametrize("client", ["member_client", "auditor_client"])
def test_others_see_no_such_pages(request, client):
    grant = GrantFactory()
    browser = request.getfixturevalue(client)
    assert revoke(browser, grant).status_code == 404
    assert revoke_all(browser, grant).status_code == 404
    assert browser.get(URL, {"request": [grant.request_id]}).status_code == 404
    assert states() == {ACTIVE}


def test_of_two_admins_the_second_learns_that_it_is_done(open_window_of):
    grants = grants_on_one_target(2)
    first, second = UserFactory(admin=True), UserFactory(admin=True)
    context = {"reason": WHY, "client_info": SYSTEM}
    ids = [grant.request_id for grant in grants]
    windows = {admin: open_window_of(admin) for admin in (first, second)}
    revoke_everything_on(actor=first, window=windows[first], integration=grants[0].integration, **context)  # fmt: skip
    with pytest.raises(Conflict):
        revoke_selected_access(actor=second, window=windows[second], request_ids=ids, **context)
    with pytest.raises(Conflict):
        revoke_everything_on(actor=second, window=windows[second], integration=grants[0].integration, **context)  # fmt: skip
    labels = set(AccessRequest.objects.values_list("revoked_by_label", flat=True))
    assert labels == {str(first)}


def test_empty_target_has_nothing_to_revoke(admin_client):
    integration = IntegrationFactory()
    url = f"/active-access/integrations/{integration.pk}/revoke/"
    assert "Nobody has access on" in admin_client.get(url, follow=True).text
    assert "Nothing was changed" in admin_client.post(url, {"reason": WHY}, follow=True).text
