"""Requests through a webhook receiver, a real process, and its absence."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from accessflows.integrations.checks import check_integration
from accessflows.models import AccessFlow, Integration
from apono_portal.core.crypto import encryption
from apono_portal.core.web.client import SYSTEM
from audit.models import Event
from requests_app.drift.scan import due_for_scan, scan_target
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.extension import extend_access
from requests_app.grants.revocation import revoke_access
from requests_app.models import Drift, Grant, GrantState, Status, TargetScan
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    IntegrationFactory,
    UserFactory,
    requester_users_of,
    sign,
    take_fingerprint,
)
from tests.fixtures.webhook import new_secret, receiver  # noqa: F401
from tests.requests_app.conftest import settle

pytestmark = pytest.mark.django_db
MINUTES = timedelta(minutes=2)


@pytest.fixture
def ask(receiver):  # noqa: F811
    """A function that asks for orders · reader through the receiver."""
    integration = IntegrationFactory(
        kind="webhook",
        settings={"url": receiver.url},
        port=receiver.port,
        password=receiver.secret,
        broker="",
    )
    check_integration(actor=None, integration=integration, client_info=SYSTEM)
    flow = AccessFlowFactory(requester_users=[UserFactory()])
    flow.targets.create(
        resource=integration.resources.get(name="orders"),
        permission=integration.permissions.get(name="reader"),
    )
    take_fingerprint(flow)
    person = requester_users_of(flow).get()
    return lambda: AccessRequestFactory(requester=person, flow=flow, duration=MINUTES)


def grant_of(request):
    return Grant.objects.select_related("request__requester").get(request=request)


def show(grant):
    return reveal_credential(actor=grant.request.requester, grant=grant, window=None)


def settle_later(moment):
    with time_machine.travel(moment, tick=True):
        settle()


def test_access_is_activated_revealed_expired_and_proven(ask, receiver):  # noqa: F811
    request = ask()
    settle()
    grant = grant_of(request)
    assert (grant.request.status, grant.state) == (Status.ACTIVE, GrantState.ACTIVE)
    credential = show(grant)
    assert receiver.opens_for(credential)
    settle_later(grant.deadline + timedelta(seconds=1))
    grant = grant_of(request)
    assert (grant.request.status, grant.state) == (Status.EXPIRED, GrantState.REMOVED)
    assert grant.proof["holds"] is True
    assert not receiver.opens_for(credential)
    assert credential.password not in str(list(Event.objects.values_list("metadata", flat=True)))


def test_an_activation_waits_for_an_unreachable_receiver(ask, receiver):  # noqa: F811
    receiver.stop()
    request = ask()
    settle()
    assert "did not respond" in grant_of(request).last_error
    receiver.start()
    settle_later(timezone.now() + timedelta(seconds=10))
    assert grant_of(request).state == GrantState.ACTIVE


def test_a_revocation_waits_for_an_unreachable_receiver(ask, receiver):  # noqa: F811
    request = ask()
    settle()
    grant = grant_of(request)
    receiver.stop()
    revoke_access(actor=grant.request.requester, request=grant.request)
    settle()
    waiting = grant_of(request)
    assert (waiting.state, waiting.contained_at) == (GrantState.REVOKING, None)
    receiver.start()
    settle_later(timezone.now() + timedelta(seconds=10))
    assert grant_of(request).request.status == Status.REVOKED


def test_a_wrong_secret_activates_nothing(ask, receiver):  # noqa: F811
    mine = Integration.objects.get(kind="webhook")
    mine.encrypted_password = encryption.encrypt(
        new_secret().encode(), purpose=encryption.BROKER_PASSWORD, owner=mine.secret_id
    )
    mine.save()
    request = ask()
    settle()
    request.refresh_from_db()
    assert request.status == Status.FAILED
    assert "signature is wrong" in request.message


def test_the_page_shows_no_psql_command(ask, client):
    request = ask()
    settle()
    client.force_login(request.requester)
    page = client.post(reverse("requests:reveal", args=[request.pk])).content.decode()
    assert "Shown once." in page
    assert "psql" not in page


def test_a_scan_of_a_receiver_finds_no_drift(ask):
    request = ask()
    settle()
    integration_id = grant_of(request).integration_id
    for step in (lambda: None, lambda: show(grant_of(request))):
        step()
        due_for_scan(timezone.now(), all_targets=True)
        scan_target(integration_id, "worker")
        assert list(Drift.objects.values_list("kind", "sentence")) == []
    assert TargetScan.objects.get().last_error == ""
    assert grant_of(request).state == GrantState.ACTIVE


def test_a_grant_a_receiver_forgot_is_revoked(ask, receiver):  # noqa: F811
    request = ask()
    settle()
    receiver.stop()
    receiver.start()
    due_for_scan(timezone.now(), all_targets=True)
    scan_target(grant_of(request).integration_id, "worker")
    settle()
    assert Drift.objects.filter(kind=Drift.Kind.DROPPED).exists()
    assert grant_of(request).request.status == Status.REVOKED


def test_a_receiver_extends_the_end(ask, receiver):  # noqa: F811
    request = ask()
    AccessFlow.objects.update(max_extensions=1, extension_duration=MINUTES)
    flow = AccessFlow.objects.get()
    take_fingerprint(flow)
    type(request).objects.update(
        flow_fingerprint=flow.fingerprint, max_extensions=1, extension_duration=MINUTES
    )
    sign(request)
    settle()
    grant = grant_of(request)
    credential, end = show(grant), grant.deadline
    extend_access(
        actor=grant.request.requester,
        request=grant.request,
        used=grant.request.extensions_used,
        window=None,
    )
    grant = grant_of(request)
    assert grant.deadline == grant.request.ends_at == end + MINUTES
    settle_later(end + timedelta(seconds=1))
    assert receiver.opens_for(credential)
    settle_later(grant.deadline + timedelta(seconds=1))
    assert not receiver.opens_for(credential)
