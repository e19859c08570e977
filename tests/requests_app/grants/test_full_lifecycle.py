"""Requests on a real PostgreSQL, from submission to proof of removal."""

from datetime import timedelta

import psycopg
import pytest
import time_machine
from django.utils import timezone

from audit.models import Event
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.revocation import revoke_access
from requests_app.models import GrantState, Status
from tests.fixtures.postgres import every_version
from tests.requests_app.conftest import settle

pytestmark = [pytest.mark.target, pytest.mark.django_db, every_version]


def test_an_automatic_request_becomes_active(real_flow):
    request = real_flow.request()
    settle()
    request.refresh_from_db()
    grant = request.grants.get()
    assert (request.status, grant.state) == (Status.ACTIVE, GrantState.ACTIVE)
    assert real_flow.pg.role_exists(grant.login)
    assert request.ends_at == grant.deadline
    assert timedelta(0) < request.ends_at - request.starts_at <= request.duration


def test_a_revealed_credential_opens_the_target(real_flow):
    grant = real_flow.active_grant()
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    with real_flow.pg.log_in(credential) as session:
        assert session.execute("SELECT count(*) FROM sales.orders").fetchone()[0] > 0
    metadata = str(list(Event.objects.values_list("metadata", flat=True)))
    assert credential.password not in metadata


def test_expiry_terminates_the_open_session(real_flow):
    grant = real_flow.active_grant()
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    session = real_flow.pg.log_in(credential)
    with time_machine.travel(grant.deadline + timedelta(seconds=1), tick=True):
        settle()
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        real_flow.pg.log_in(credential)
    grant.refresh_from_db()
    assert (grant.request.status, grant.state) == (Status.EXPIRED, GrantState.REMOVED)
    assert grant.proof["holds"] is True
    assert not real_flow.pg.role_exists(grant.login)


def test_access_ended_by_hand_is_revoked(real_flow):
    grant = real_flow.active_grant()
    revoke_access(actor=real_flow.requester, request=grant.request)
    settle()
    grant.refresh_from_db()
    assert grant.request.status == Status.REVOKED
    assert grant.contained_at <= grant.removed_at <= timezone.now()
    assert grant.request.revoked_by_label == str(real_flow.requester)
