"""A reset between the intent and the open door: nothing is opened on evidence that was voided."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accessflows.connectors.postgresql.connector import PostgreSQLConnector
from accessflows.models import Integration
from apono_portal.core.web.client import SYSTEM
from audit.models import Event
from mfa.reset import reset_mfa
from requests_app.grants import target_access
from requests_app.grants.activation import begin_activation
from requests_app.models import GrantState, Status
from requests_app.worker import steps
from tests.factories import UserFactory, fresh_window, sign, take_fingerprint
from tests.requests_app.conftest import settle

pytestmark = [pytest.mark.target, pytest.mark.django_db]


@pytest.fixture
def protected(real_flow):
    """A flow that asks for MFA, on a real target."""
    real_flow.flow.require_mfa = True
    real_flow.flow.save(update_fields=["require_mfa"])
    take_fingerprint(real_flow.flow)
    return real_flow


def reset(user) -> None:
    admin = UserFactory(admin=True)
    reset_mfa(
        actor=admin, user=user, reason="Phone lost", window=fresh_window(admin), client_info=SYSTEM
    )


def assert_nothing_is_open(flow, request) -> None:
    request.refresh_from_db()
    assert request.status == Status.FAILED
    assert "was reset" in request.message
    assert [grant.state for grant in request.grants.all()] == [GrantState.REMOVED]
    assert flow.pg.grant_roles() == []


def test_fresh_evidence_activates(protected):
    request = protected.request()
    settle()
    request.refresh_from_db()
    assert request.status == Status.ACTIVE


def test_a_reset_after_the_grants_are_written_activates_nothing(protected):
    request = protected.request()
    begin_activation(request_pk=request.pk)
    reset(protected.requester)
    settle()
    assert_nothing_is_open(protected, request)
    assert not Event.objects.filter(event__in=["grant:activate", "grant:contain"]).exists()


def test_a_reset_while_the_target_is_unreachable_activates_nothing(protected):
    request = protected.request()
    right_port = protected.integration.port
    Integration.objects.update(port=1)
    take_fingerprint(protected.flow)
    request.flow_fingerprint = protected.flow.fingerprint
    request.save(update_fields=["flow_fingerprint"])
    sign(request)
    settle()
    assert request.grants.get().attempts == 1
    reset(protected.requester)
    Integration.objects.update(port=right_port)
    with time_machine.travel(timezone.now() + timedelta(seconds=5), tick=True):
        settle()
    assert_nothing_is_open(protected, request)


def test_a_reset_during_the_call_removes_the_login(protected, monkeypatch):
    class ResetMeanwhile(PostgreSQLConnector):
        def activate(self, target, spec):
            made = PostgreSQLConnector.activate(target, spec)
            reset(protected.requester)
            return made

    monkeypatch.setattr(target_access, "connector_for", lambda kind: ResetMeanwhile())
    request = protected.request()
    settle()
    assert_nothing_is_open(protected, request)
    assert Event.objects.filter(event="grant:contain").count() == 1


def test_a_flow_deactivated_while_the_target_is_unreachable_activates_nothing(real_flow):
    request = real_flow.request()
    begin_activation(request_pk=request.pk)
    request.grants.update(attempts=1)
    real_flow.flow.is_active = False
    real_flow.flow.save(update_fields=["is_active"])
    grant = request.grants.select_related("request", "integration").get()
    request.grants.update(lease_by="lease")
    steps.activate([grant], "lease")
    assert real_flow.pg.grant_roles() == []
    request.refresh_from_db()
    assert request.status == Status.FAILED
