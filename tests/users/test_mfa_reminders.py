"""MFA reminders: by email, recorded, at most once a day."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from apono_portal.users.models import User
from apono_portal.users.services import reminders
from audit.models import Event
from audit.outbox.deliveries import deliver_due
from tests.factories import AuthenticatorFactory, UserFactory

REMIND = "/users/remind/"


@pytest.fixture(autouse=True)
def email_configured(settings):
    settings.EMAIL_CONFIGURED = True


def reminded() -> list[str]:
    mail.outbox.clear()
    deliver_due(timezone.now())
    return sorted(message.to[0] for message in mail.outbox)


def test_active_users_without_mfa_are_reminded(admin_client, admin_user):
    lacking = UserFactory(email="lacking@example.org")
    UserFactory(is_active=False)
    AuthenticatorFactory(user=UserFactory())
    AuthenticatorFactory(user=UserFactory(email="halfway@example.org"), confirmed=False)
    page = admin_client.post(REMIND, follow=True).content.decode()
    assert reminded() == ["halfway@example.org", "lacking@example.org"]
    assert "Sending 2 MFA reminders." in page
    events = Event.objects.filter(event="mfa:remind", actor_id=admin_user.pk)
    assert events.filter(target_id=str(lacking.pk)).count() == 1


def test_nobody_is_reminded_twice_within_a_day(admin_client):
    UserFactory(email="lacking@example.org")
    admin_client.post(REMIND)
    assert len(reminded()) == 1
    assert "No reminders to send" in admin_client.post(REMIND, follow=True).content.decode()
    assert reminded() == []
    User.objects.update(mfa_reminded_at=timezone.now() - timedelta(hours=24, seconds=1))
    admin_client.post(REMIND)
    assert reminded() == ["lacking@example.org"]


def test_reminders_are_sent_in_batches(admin_client, monkeypatch):
    monkeypatch.setattr(reminders, "BATCH_SIZE", 2)
    UserFactory.create_batch(3)
    first = admin_client.post(REMIND, follow=True).content.decode()
    second = admin_client.post(REMIND, follow=True).content.decode()
    assert "More users remain" in first
    assert "Sending 1 MFA reminder." in second
    assert "More users remain" not in second
    assert len(reminded()) == 3


def test_reminder_has_no_link_that_acts(admin_client):
    UserFactory()
    admin_client.post(REMIND)
    assert len(reminded()) == 1
    assert "Security & Privacy" in mail.outbox[0].body
    assert "set-password" not in mail.outbox[0].body


def test_without_email_nobody_is_marked_as_reminded(admin_client, settings):
    settings.EMAIL_CONFIGURED = False
    user = UserFactory()
    assert "Email is not configured" in admin_client.post(REMIND, follow=True).content.decode()
    user.refresh_from_db()
    assert user.mfa_reminded_at is None


def test_get_reminds_nobody(admin_client):
    UserFactory()
    assert admin_client.get(REMIND).status_code == 405
    assert reminded() == []
