"""Deleting an integration: only once nothing that people have depends on it."""

import pytest

from accessflows.models import Integration
from audit.models import Event
from requests_app.models import Grant, GrantState
from tests.factories import (
    BROKER_PASSWORD,
    AccessFlowFactory,
    GrantFactory,
    IntegrationFactory,
    ResourceFactory,
)

pytestmark = pytest.mark.django_db
WHY = {"reason": "Moved to another region"}


def address(integration):
    return f"/integrations/{integration.pk}/delete/"


def test_deletion_includes_resources_and_is_recorded(admin_client):
    integration = ResourceFactory().integration
    answer = admin_client.post(address(integration), WHY, follow=True)
    assert f"{integration.name} was deleted." in answer.content.decode()
    assert not Integration.objects.exists()
    event = Event.objects.get(event="integration:delete")
    assert event.metadata == {**WHY, "address": integration.address}
    assert BROKER_PASSWORD not in str(event.metadata)


def test_a_flow_that_uses_it_prevents_deletion(admin_client):
    flow = AccessFlowFactory(name="Orders write", targets=1)
    integration = flow.targets.get().resource.integration
    page = admin_client.get(address(integration)).content.decode()
    assert "Orders write" in page
    assert "Delete integration</button>" not in page
    assert admin_client.post(address(integration), WHY).status_code == 422
    assert Integration.objects.exists()


def test_access_not_proven_removed_prevents_deletion(admin_client):
    grant = GrantFactory(state=GrantState.CONTAINED)
    grant.request.flow.targets.all().delete()
    answer = admin_client.post(address(grant.integration), WHY)
    assert "Grants not removed yet: 1." in answer.content.decode()
    assert Integration.objects.exists()


def test_history_stays_readable_after_deletion(admin_client):
    grant = GrantFactory(state=GrantState.REMOVED)
    name = grant.integration.name
    grant.request.flow.targets.all().delete()
    admin_client.post(address(grant.integration), WHY)
    kept = Grant.objects.get(pk=grant.pk)
    assert (kept.integration, kept.integration_name) == (None, name)


@pytest.mark.parametrize("reason", ["", "..."])
def test_deletion_requires_a_reason(admin_client, reason):
    integration = IntegrationFactory()
    assert admin_client.post(address(integration), {"reason": reason}).status_code == 422
    assert Integration.objects.exists()
