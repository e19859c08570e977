"""Grants of a server that no longer exists are closed by an admin, never of one that still answers."""

import pytest

from accessflows.models import Integration
from audit.models import Event
from requests_app.grants.revocation import revoke_access
from requests_app.models import AccessRequest, Grant, GrantState, Status
from tests.factories import GrantFactory, IntegrationFactory

WHY = {"reason": "Replaced after a disk failure"}

pytestmark = pytest.mark.django_db


def close(client, integration: Integration):
    return client.post(f"/integrations/{integration.pk}/server-gone/", WHY, follow=True)


@pytest.fixture
def stuck() -> Grant:
    """A grant in revocation on a server that does not answer, its integration disabled."""
    grant = GrantFactory(state=GrantState.REVOKING, login="jit_x", login_mark="1")
    AccessRequest.objects.update(status=Status.REVOKING, final_status="revoked")
    Integration.objects.update(is_active=False)
    return grant


def test_request_is_finished_without_a_proof(admin_client, stuck):
    close(admin_client, stuck.integration)
    stuck.refresh_from_db()
    assert stuck.state == GrantState.REMOVED
    assert stuck.proof["holds"] is False
    assert "Nothing was verified" in stuck.proof["method"]
    assert AccessRequest.objects.get().status == Status.REVOKED


def test_it_is_recorded_with_actor_and_reason(admin_client, admin_user, stuck):
    close(admin_client, stuck.integration)
    event = Event.objects.get(event="grant:close")
    assert event.actor_label == str(admin_user)
    assert event.metadata == {"login": "jit_x", **WHY}
    page = admin_client.get(f"/requests/{stuck.request.reference}/").text
    assert "Closed without proof" in page


def test_integration_in_use_is_refused(admin_client, stuck):
    Integration.objects.update(is_active=True)
    assert close(admin_client, stuck.integration).status_code == 422
    stuck.refresh_from_db()
    assert stuck.state == GrantState.REVOKING


def test_active_access_is_not_closed(admin_client):
    grant = GrantFactory(state=GrantState.ACTIVE)
    Integration.objects.update(is_active=False)
    assert close(admin_client, grant.integration).status_code == 422


@pytest.mark.parametrize("client", ["member_client", "auditor_client"])
def test_others_see_no_such_page(request, client):
    address = f"/integrations/{IntegrationFactory().pk}/server-gone/"
    assert request.getfixturevalue(client).get(address).status_code == 404


@pytest.mark.target
def test_server_that_still_answers_is_refused(admin_client, real_flow):
    grant = real_flow.active_grant()
    revoke_access(actor=real_flow.requester, request=grant.request)
    Integration.objects.update(is_active=False)
    assert "The server still answers" in close(admin_client, grant.integration).text
    grant.refresh_from_db()
    assert grant.state == GrantState.REVOKING


@pytest.mark.target
def test_replaced_server_does_not_keep_grants_open(admin_client, real_flow):
    grant = real_flow.active_grant()
    revoke_access(actor=real_flow.requester, request=grant.request)
    Integration.objects.update(is_active=False)
    Grant.objects.update(system_identifier="1234")
    close(admin_client, grant.integration)
    grant.refresh_from_db()
    assert grant.state == GrantState.REMOVED
