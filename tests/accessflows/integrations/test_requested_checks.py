"""A check that an admin asks for: done by a worker, followed on its page, closed when a worker dies."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accessflows.connectors.postgresql.connector import PostgreSQLConnector
from accessflows.integrations.checks import run_check
from accessflows.integrations.scheduled_checks import run_requested_checks
from accessflows.models import CheckRun, Integration
from audit.models import Event
from tests.factories import IntegrationFactory

pytestmark = pytest.mark.django_db
State = CheckRun.State


def ask(client, integration):
    answer = client.post(f"/integrations/{integration.pk}/check/")
    return CheckRun.objects.get(), answer.headers["Location"]


def test_it_waits_for_a_worker_and_says_so(admin_client, integration):
    run, address = ask(admin_client, integration)
    page = admin_client.get(address).content.decode()
    assert address == f"/integrations/{integration.pk}/check/{run.pk}/"
    assert "Waiting for a worker" in page
    assert "data-poll" in page


def test_it_is_followed_from_step_to_step(admin_client, integration, monkeypatch):
    run, address = ask(admin_client, integration)
    seen = []

    def look(*_args):
        page = admin_client.get(address).content.decode()
        seen.append(("Resources found: " in page, "Permissions read on" in page))
        return {}

    monkeypatch.setattr(PostgreSQLConnector, "describe_rights", look)
    run_requested_checks(timezone.now())
    run.refresh_from_db()
    assert set(seen) == {(True, True)}
    assert (run.state, run.read) == (State.PASSED, run.to_read)
    assert run.to_read >= 2


def test_the_page_of_a_finished_check_does_not_poll(admin_client, auditor_client, integration):
    _, address = ask(admin_client, integration)
    run_requested_checks(timezone.now())
    page = auditor_client.get(address).content.decode()
    assert "data-poll" not in page
    assert "Resources found: " in page
    assert "Needs attention" in page


def test_asking_and_result_are_recorded(admin_client, admin_user, integration):
    ask(admin_client, integration)
    run_requested_checks(timezone.now())
    requested, result = Event.objects.filter(event="integration:check").order_by("pk")
    assert (requested.actor_id, requested.metadata) == (admin_user.pk, {"state": "requested"})
    assert result.metadata["health"] == "limited"


def test_a_second_admin_is_sent_to_the_running_one(admin_client):
    integration = IntegrationFactory()
    run, address = ask(admin_client, integration)
    again, same = ask(admin_client, integration)
    assert (again, same) == (run, address)
    assert Event.objects.filter(event="integration:check").count() == 1


def test_where_nothing_answers_it_fails_with_a_sentence(admin_client):
    run, address = ask(admin_client, IntegrationFactory())
    run_requested_checks(timezone.now())
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert "chip-red" in admin_client.get(address).content.decode()


def test_one_that_another_worker_has_is_left_alone(admin_client):
    run, _ = ask(admin_client, IntegrationFactory())
    until = timezone.now() + timedelta(minutes=2)
    CheckRun.objects.update(state=State.RUNNING, lease_by="other", lease_until=until)
    assert run_check(run=run) is False
    assert Integration.objects.get().health_checked_at is None


def test_an_abandoned_one_is_closed_and_can_be_requested_again(admin_client):
    integration = IntegrationFactory()
    run, _ = ask(admin_client, integration)
    past = timezone.now() - timedelta(minutes=2)
    CheckRun.objects.update(state=State.RUNNING, lease_by="killed", lease_until=past)
    run_requested_checks(timezone.now())
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert "stopped before the check finished" in run.steps[-1]["sentence"]
    assert admin_client.post(f"/integrations/{integration.pk}/check/").status_code == 302
    assert CheckRun.objects.count() == 2


def test_one_of_another_integration_is_not_found(admin_client):
    run, _ = ask(admin_client, IntegrationFactory())
    other = IntegrationFactory()
    assert admin_client.get(f"/integrations/{other.pk}/check/{run.pk}/").status_code == 404
