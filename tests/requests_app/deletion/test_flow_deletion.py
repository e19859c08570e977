"""Deleting an access flow: it says what ends, wants a reason, and leaves history behind."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from django.db import connection, connections

from accessflows.flows.history import create_version
from accessflows.models import AccessFlow, FlowVersion
from apono_portal.core.web.client import SYSTEM
from audit.models import Event
from requests_app.deletion.flows import delete_flow
from requests_app.exceptions import RequestRefused
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.revocation import revoke_ineligible
from requests_app.models import AccessRequest, GrantState, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GrantFactory,
    UserFactory,
    fresh_window,
)
from tests.fixtures.submission import submit_request
from tests.requests_app.conftest import RealFlow, settle


@pytest.fixture
def used(db) -> AccessFlow:
    """A flow with two open accesses of one person, one being opened, and one that waits."""
    irma = UserFactory()
    flow = AccessFlowFactory(name="Orders write", requester_users=[irma], targets=1)
    for status in (Status.ACTIVE, Status.ACTIVE, Status.GRANTING, Status.PENDING_APPROVAL):
        ask = AccessRequestFactory(requester=irma, flow=flow, status=status)
        if status == Status.ACTIVE:
            GrantFactory(request=ask)
    AccessRequestFactory(requester=irma, flow=flow, status=Status.EXPIRED)
    return flow


def address(flow: AccessFlow) -> str:
    return f"/access-flows/{flow.pk}/delete/"


def elsewhere(act: Callable[[], object]) -> None:
    """Do something to the end on another connection."""

    def run() -> None:
        act()
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)


def test_the_page_shows_what_deletion_revokes(admin_client, used):
    page = " ".join(admin_client.get(address(used)).content.decode().split())
    assert "3 active requests</strong> of 1 user are revoked within seconds" in page
    assert "1 pending request</strong> is cancelled" in page
    assert AccessFlow.objects.filter(pk=used.pk).exists()


@pytest.mark.parametrize("reason", ["", "  ", "...", "x" * 501])
def test_without_a_reason_nothing_is_deleted(admin_client, used, reason):
    assert admin_client.post(address(used), {"reason": reason}).status_code == 422
    assert AccessFlow.objects.filter(pk=used.pk).exists()


def test_deletion_is_not_taken_for_tampering(admin_client, used):
    forged = AccessRequest.objects.filter(status=Status.GRANTING)
    forged.update(mac="")
    admin_client.post(address(used), {"reason": "Orders moved away"})
    requests = AccessRequest.objects.exclude(status=Status.EXPIRED)
    authentic = {request.status: request.is_authentic for request in requests}
    assert authentic == {"active": True, "granting": False, "pending_approval": True}


def test_deletion_is_recorded_with_counts_and_terms(admin_client, admin_user, used):
    page = admin_client.post(address(used), {"reason": "Orders moved away"}, follow=True)
    assert "3 grants that were active through it are being revoked" in page.content.decode()
    event = Event.objects.get(event="flow:delete")
    assert (event.actor_id, event.target_label) == (admin_user.pk, "Orders write")
    assert event.metadata["reason"] == "Orders moved away"
    assert event.metadata["requests"] == {"pending": 1, "granting": 1, "active": 2}
    assert event.metadata["terms"]["name"] == "Orders write"


def test_requests_keep_their_snapshot_and_live_access_is_revoked(admin_client, used):
    admin_client.post(address(used), {"reason": "Orders moved away"})
    assert revoke_ineligible() == 4
    names = AccessRequest.objects.values_list("flow_name", flat=True)
    assert list(names) == ["Orders write"] * 5
    assert not AccessRequest.objects.filter(status__in=[Status.ACTIVE, Status.GRANTING]).exists()


def test_versions_stay_and_can_be_read(auditor_client, admin_client, admin_user, used):
    create_version(flow=used, changed_by=admin_user)
    admin_client.post(address(used), {"reason": "Orders moved away"})
    assert FlowVersion.objects.get().flow_id == used.pk
    page = auditor_client.get(f"/access-flows/{used.pk}/history/").content.decode()
    assert "This access flow was deleted" in page
    assert "Access flow deleted" in page
    assert "Orders moved away" in page


def test_the_second_of_two_deletions_is_refused(admin_user, used):
    twin = AccessFlow.objects.get(pk=used.pk)
    window = fresh_window(admin_user)
    arguments = {"actor": admin_user, "window": window, "reason": "Moved", "client_info": SYSTEM}
    delete_flow(flow=used, **arguments)
    with pytest.raises(RequestRefused, match="already been deleted"):
        delete_flow(flow=twin, **arguments)
    assert Event.objects.filter(event="flow:delete").count() == 1


@pytest.mark.django_db(transaction=True)
def test_submission_during_deletion_is_refused(monkeypatch, admin_user):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one writer in at a time, so nothing comes in between.")
    irma = UserFactory()
    flow = AccessFlowFactory(requester_users=[irma], targets=1)
    window = fresh_window(admin_user)
    arguments = {"actor": admin_user, "window": window, "reason": "Moved", "client_info": SYSTEM}
    save = AccessRequest.save

    def save_late(row: AccessRequest, **options: object) -> None:
        if row.pk is None:
            elsewhere(lambda: delete_flow(flow=flow, **arguments))
        save(row, **options)

    monkeypatch.setattr(AccessRequest, "save", save_late)
    target = flow.targets.get()
    with pytest.raises(RequestRefused, match="not available to you"):
        submit_request(
            actor=irma,
            flow=flow,
            target_ids=[target.pk],
            duration=flow.max_duration,
            justification="Look into it",
            window=None,
        )
    assert not AccessRequest.objects.exists()


@pytest.mark.target
@pytest.mark.django_db
def test_an_open_session_is_terminated_and_removal_proven(real_flow: RealFlow, admin_user):
    grant = real_flow.active_grant()
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    session = real_flow.pg.log_in(credential)
    delete_flow(
        actor=admin_user,
        window=fresh_window(admin_user),
        flow=real_flow.flow,
        reason="Moved",
        client_info=SYSTEM,
    )
    settle()
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    grant.refresh_from_db()
    assert (grant.state, grant.proof["holds"]) == (GrantState.REMOVED, True)
