"""A canary: requested on the integration's page, run by a worker, shown step by step."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from accessflows.integrations.canaries import run_canary
from accessflows.integrations.scheduled_checks import run_requested_canaries
from accessflows.models import CanaryRun
from audit.models import Event
from tests.factories import IntegrationFactory, PermissionFactory, ResourceFactory

pytestmark = pytest.mark.django_db
State = CanaryRun.State


def post(client, integration, resource, permission):
    address = reverse("integrations:run_canary", args=[integration.pk])
    return client.post(address, {"resource": resource.pk, "permission": permission.pk}, follow=True)


def ask(client, integration=None):
    integration = integration or IntegrationFactory()
    resource = ResourceFactory(integration=integration)
    post(client, integration, resource, PermissionFactory(integration=integration))
    return CanaryRun.objects.latest("pk")


def test_it_passes_on_a_real_target_and_leaves_nothing(checked, pg_target, admin_client):
    page = post(
        admin_client,
        checked,
        checked.resources.get(name="orders"),
        checked.permissions.get(name="orders_read"),
    ).content.decode()
    assert "Waiting for a worker" in page
    run_requested_canaries(timezone.now())
    run = CanaryRun.objects.get()
    assert (run.state, len(run.steps)) == (State.PASSED, 10), run.steps
    assert pg_target.grant_roles() == []
    shown = admin_client.get(reverse("integrations:canary", args=[checked.pk, run.pk]))
    assert shown.content.decode().count("chip chip-green") >= 9
    states = Event.objects.filter(event="integration:canary").values_list(
        "metadata__state", flat=True
    )
    assert set(states) == {"requested", "passed"}


def test_it_fails_with_a_sentence_where_nothing_answers(admin_client):
    run = ask(admin_client)
    run_requested_canaries(timezone.now())
    run.refresh_from_db()
    assert run.state == State.FAILED
    page = admin_client.get(reverse("integrations:canary", args=[run.integration_id, run.pk]))
    assert "chip-red" in page.content.decode()
    assert escape(run.steps[-1]["sentence"]) in page.content.decode()


def test_one_at_a_time(admin_client):
    run = ask(admin_client)
    ask(admin_client, run.integration)
    assert CanaryRun.objects.count() == 1


def test_a_run_that_another_worker_has_is_left_alone(admin_client):
    run = ask(admin_client)
    until = timezone.now() + timedelta(minutes=2)
    CanaryRun.objects.update(state=State.RUNNING, lease_by="other", lease_until=until)
    assert run_canary(run=run) is False  # as a worker that saw it waiting a moment ago
    run.refresh_from_db()
    assert (run.state, run.lease_by) == (State.RUNNING, "other")


def test_a_run_of_a_killed_worker_is_closed_with_the_reason(admin_client):
    run = ask(admin_client)
    past = timezone.now() - timedelta(minutes=2)
    CanaryRun.objects.update(state=State.RUNNING, lease_by="killed", lease_until=past)
    run_requested_canaries(timezone.now())
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert "stopped before the canary finished" in run.steps[-1]["sentence"]


def test_a_missing_item_cannot_be_chosen(admin_client):
    integration = IntegrationFactory()
    missing = ResourceFactory(integration=integration, missing_since=timezone.now())
    page = post(admin_client, integration, missing, PermissionFactory(integration=integration))
    assert "that still exist" in page.content.decode()
    assert not CanaryRun.objects.exists()


def test_a_canary_of_another_integration_is_not_found(admin_client):
    run = ask(admin_client)
    address = reverse("integrations:canary", args=[IntegrationFactory().pk, run.pk])
    assert admin_client.get(address).status_code == 404


@pytest.mark.parametrize("who", ["member_client", "auditor_client"])
def test_only_admins_request_one(who, request):
    integration = IntegrationFactory()
    address = reverse("integrations:run_canary", args=[integration.pk])
    assert request.getfixturevalue(who).post(address).status_code == 404
    assert not CanaryRun.objects.exists()
