"""Integrations are checked again by themselves: daily, sooner after failure, once among workers."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accessflows.integrations.scheduled_checks import run_due_checks
from accessflows.integrations.services import set_integration_active
from accessflows.models import Integration, Permission, Resource
from apono_portal.core.web.client import SYSTEM
from audit.models import Event
from tests.factories import IntegrationFactory, UserFactory, fresh_window

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def checks():
    return Event.objects.filter(event="integration:check")


def test_a_new_integration_is_checked_and_is_due_again_later(integration):
    run_due_checks(timezone.now())
    integration.refresh_from_db()
    assert integration.health != Integration.Health.UNKNOWN
    assert integration.next_check_at > timezone.now()
    assert checks().count() == 1


def test_a_check_that_says_nothing_new_is_not_recorded(checked):
    seen_at = checked.health_checked_at
    run_due_checks(timezone.now() + DAY)
    checked.refresh_from_db()
    assert checked.health_checked_at > seen_at
    assert checks().count() == 1


def test_a_target_that_went_down_is_reported_once_and_checked_again_soon(checked):
    Integration.objects.update(port=1)
    for _ in range(2):
        run_due_checks(timezone.now() + DAY)
    checked.refresh_from_db()
    assert checked.health == Integration.Health.DOWN
    assert checks().count() == 2
    assert checked.next_check_at < timezone.now() + timedelta(minutes=10)


def test_nothing_is_checked_before_it_is_due(checked):
    Integration.objects.update(port=1)
    run_due_checks(timezone.now())
    checked.refresh_from_db()
    assert checked.health != Integration.Health.DOWN


def test_what_takes_too_long_together_is_checked_one_after_the_other(monkeypatch):
    monkeypatch.setattr("accessflows.integrations.scheduled_checks.BUDGET_S", -1)
    IntegrationFactory.create_batch(2)
    seen = []
    for _ in range(3):
        run_due_checks(timezone.now())
        seen.append(checks().count())
    assert seen == [1, 2, 2]


def test_of_two_workers_one_checks():
    integration = IntegrationFactory()
    seen = Integration.objects.get(pk=integration.pk)
    from accessflows.integrations.scheduled_checks import _claim

    now = timezone.now()
    assert [_claim(seen, now), _claim(seen, now)] == [True, False]


def test_one_that_is_disabled_is_left_alone():
    integration = IntegrationFactory(health=Integration.Health.UNKNOWN)
    admin = UserFactory(admin=True)
    set_integration_active(
        actor=admin,
        window=fresh_window(admin),
        integration=integration,
        is_active=False,
        client_info=SYSTEM,
    )
    run_due_checks(timezone.now())
    integration.refresh_from_db()
    assert integration.health == Integration.Health.UNKNOWN


def test_a_missing_item_is_noticed_by_a_scheduled_check(checked):
    Resource.objects.create(integration=checked, name="dropped_long_ago")
    run_due_checks(timezone.now() + DAY)
    assert not Resource.objects.get(name="dropped_long_ago").is_present
    metadata = Event.objects.filter(event="integration:discover").latest("pk").metadata
    assert metadata["missing_resources"] == ["dropped_long_ago"]


def test_rights_are_described(checked):
    permission = Permission.objects.get(integration=checked, name="orders_read")
    words = permission.rights_on("orders")
    assert any(line.startswith("Read ") and "in schema sales" in line for line in words), words
