"""Deactivation by a directory reaches the target: an open session is terminated."""

import psycopg
import pytest

from requests_app.grants.credentials import reveal_credential
from requests_app.models import Status
from tests.requests_app.conftest import (  # noqa: F401
    pg_target,
    pg_version,
    provisioned_server,
    real_flow,
    settle,
)

pytestmark = [pytest.mark.target, pytest.mark.django_db]


def test_an_open_session_ends_when_the_directory_deactivates(real_flow, okta):  # noqa: F811
    linked = okta.add_user(real_flow.requester.email)
    grant = real_flow.active_grant()
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    session = real_flow.pg.log_in(credential)
    session.execute("SELECT 1")
    okta.patch(f"/Users/{linked['id']}", {"op": "Replace", "path": "active", "value": "False"})
    settle()
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        real_flow.pg.log_in(credential)
    grant.request.refresh_from_db()
    assert grant.request.status == Status.REVOKED
