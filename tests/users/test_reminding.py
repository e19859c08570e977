"""Reminding people who have not set up MFA: by mail, on the record, at most once a day."""

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
def mail_is_set_up(settings):
    settings.EMAIL_CONFIGURED = True


def reminded() -> list[str]:
    mail.outbox.clear()
    deliver_due(timezone.now())
    return sorted(message.to[0] for message in mail.outbox)


def test_one_click_reminds_the_active_people_without_mfa(admin_client, admin_user):
    lacking = UserFactory(email="lacking@example.org")
    UserFactory(is_active=False)
    AuthenticatorFactory(user=UserFactory())
    AuthenticatorFactory(user=UserFactory(email="halfway@example.org"), confirmed=False)
    page = admin_client.post(REMIND, follow=True).content.decode()
    assert reminded() == ["halfway@example.org", "lacking@example.org"]
    assert "2 people are being reminded by mail" in page
    told = Event.objects.filter(event="mfa:remind", actor_id=admin_user.pk)
    assert told.filter(target_id=str(lacking.pk)).count() == 1


def test_nobody_is_reminded_twice_within_a_day(admin_client):
    UserFactory(email="lacking@example.org")
    admin_client.post(REMIND)
    assert len(reminded()) == 1
    assert "Nobody to remind" in admin_client.post(REMIND, follow=True).content.decode()
    assert reminded() == []
    User.objects.update(mfa_reminded_at=timezone.now() - timedelta(hours=24, seconds=1))
    admin_client.post(REMIND)
    assert reminded() == ["lacking@example.org"]


def test_many_are_reminded_click_by_click(admin_client, monkeypatch):
    monkeypatch.setattr(reminders, "BATCH", 2)
    UserFactory.create_batch(3)
    first = admin_client.post(REMIND, follow=True).content.decode()
    second = admin_client.post(REMIND, follow=True).content.decode()
    assert "Others are left" in first
    assert "1 person is being reminded" in second
    assert "Others are left" not in second
    assert len(reminded()) == 3


def test_the_mail_holds_no_link_that_acts(admin_client):
    UserFactory()
    admin_client.post(REMIND)
    assert len(reminded()) == 1
    assert "Security & Privacy" in mail.outbox[0].body
    assert "set-password" not in mail.outbox[0].body


def test_without_mail_nobody_is_told_to_be_reminded(admin_client, settings):
    settings.EMAIL_CONFIGURED = False
    person = UserFactory()
    assert "Mail is not set up" in admin_client.post(REMIND, follow=True).content.decode()
    person.refresh_from_db()
    assert person.mfa_reminded_at is None


def test_looking_reminds_nobody(admin_client):
    UserFactory()
    assert admin_client.get(REMIND).status_code == 405
    assert reminded() == []
