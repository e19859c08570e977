"""A worker keeps a connection to every target with access, and to no other."""

import pytest

from accessflows.connectors import idle_pool
from requests_app.grants.target_access import integrations_with_access, keep_connections
from requests_app.models import Grant, GrantState
from tests.factories import GrantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant():
    return GrantFactory(state=GrantState.ACTIVE)


def test_integration_is_in_use_until_its_grants_are_contained(grant):
    for state in (GrantState.ACTIVATING, GrantState.ACTIVE, GrantState.REVOKING):
        Grant.objects.update(state=state)
        assert integrations_with_access() == [grant.integration_id]
    for state in (GrantState.CONTAINED, GrantState.REMOVED):
        Grant.objects.update(state=state)
        assert integrations_with_access() == []


def test_unreachable_target_stops_nothing(grant):
    idle_pool.connections.is_enabled = True
    try:
        keep_connections(grant.integration_id)
        assert idle_pool.connections.close_idle(early=True) == 0
    finally:
        idle_pool.connections.stop()
