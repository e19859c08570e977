"""Where access stands, in words."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from requests_app.grants.status import grant_status
from requests_app.models import Drift, GrantState
from tests.factories import GrantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant():
    return GrantFactory(login="jit_x", login_mark="1", system_identifier="1")


@pytest.mark.parametrize("state", GrantState)
def test_before_its_deadline_the_status_is_the_state(grant, state):
    grant.state = state
    assert grant_status(grant, grant.deadline).code == state


@pytest.mark.parametrize("state", [GrantState.ACTIVE, GrantState.REVOKING])
def test_past_its_deadline_the_status_is_overdue(grant, state):
    grant.state = state
    status = grant_status(grant, grant.deadline + timedelta(minutes=3))
    assert (status.code, status.label) == ("overdue", "Overdue by 3 min")


def test_just_past_its_deadline_it_is_not_overdue(grant):
    assert grant_status(grant, grant.deadline + timedelta(seconds=4)).code == GrantState.ACTIVE


@pytest.mark.parametrize("state", [GrantState.CONTAINED, GrantState.REMOVED])
def test_a_contained_grant_is_never_overdue(grant, state):
    grant.state, grant.contained_at = state, grant.deadline
    assert grant_status(grant, grant.deadline + timedelta(days=1)).code == state


def test_a_grant_never_created_is_not_overdue():
    grant = GrantFactory(state=GrantState.ACTIVATING)
    assert grant_status(grant, grant.deadline + timedelta(days=1)).code == GrantState.ACTIVATING


def test_the_request_page_shows_drift_and_delay(grant, admin_client):
    Drift.objects.create(grant=grant, login=grant.login, kind="deadline", sentence="Pushed back.")
    Drift.objects.create(
        grant=grant,
        login=grant.login,
        kind="attributes",
        sentence="Long over.",
        resolved_at=timezone.now(),
    )
    grant.deadline = timezone.now() - timedelta(minutes=10, seconds=1)
    grant.save()
    page = admin_client.get(reverse("requests:detail", args=[grant.request_id])).content.decode()
    assert "Pushed back." in page
    assert "Long over." not in page
    assert "Overdue by 10 min" in page


def test_the_integration_page_shows_drift(grant, admin_client):
    Drift.objects.create(
        integration=grant.integration, login="jit_lost", kind="unknown", sentence="Nobody knows it."
    )
    page = admin_client.get(reverse("integrations:detail", args=[grant.integration_id]))
    assert "Nobody knows it." in page.content.decode()
