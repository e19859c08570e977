"""Deleting or disabling a user, a flow or an integration revokes its live access."""

import psycopg
import pytest
from django.db.models import ProtectedError

from accessflows.models import AccessFlow, Integration
from apono_portal.users.models import User
from requests_app.grants.credentials import reveal_credential
from requests_app.models import Grant, GrantState
from tests.requests_app.conftest import RealFlow, settle

pytestmark = [pytest.mark.target, pytest.mark.django_db]

LOSSES = {
    "person deleted": lambda: User.objects.all().delete(),
    "person switched off": lambda: User.objects.update(is_active=False),
    "flow deleted": lambda: AccessFlow.objects.all().delete(),
    "flow switched off": lambda: AccessFlow.objects.update(is_active=False),
    "integration switched off": lambda: Integration.objects.update(is_active=False),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_live_access_is_removed_from_the_target(real_flow: RealFlow, loss):
    grant = real_flow.active_grant()
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    session = real_flow.pg.log_in(credential)
    LOSSES[loss]()
    settle()
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        real_flow.pg.log_in(credential)
    grant.refresh_from_db()
    assert (grant.state, grant.proof["holds"]) == (GrantState.REMOVED, True)


def test_an_integration_cannot_be_deleted_under_live_access(real_flow: RealFlow):
    real_flow.active_grant()
    real_flow.flow.targets.all().delete()
    with pytest.raises(ProtectedError):
        real_flow.integration.delete()
    with pytest.raises(ProtectedError):
        Integration.objects.all().delete()
    assert real_flow.pg.grant_roles()


def test_removed_grants_outlive_their_integration(real_flow: RealFlow):
    grant = real_flow.active_grant()
    Integration.objects.update(is_active=False)
    settle()
    name = real_flow.integration.name
    real_flow.flow.targets.all().delete()
    Integration.objects.all().delete()
    kept = Grant.objects.get(pk=grant.pk)
    assert (kept.integration, kept.integration_name, kept.proof["holds"]) == (None, name, True)
