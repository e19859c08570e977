"""Security emails: who gets which, and what no email ever holds."""

import re

import pytest
from django.core import mail
from django.utils import timezone

from audit.events import EventName
from audit.models import Delivery
from audit.outbox.deliveries import deliver_due
from audit.services import record
from mfa import emails
from mfa.enrolment.recovery_codes import replace_recovery_codes
from mfa.verification.throttle_scope import ThrottleScope
from tests.factories import UserFactory, code_for
from tests.mfa.conftest import HERE, enter_recovery_code, wrong_for


def sent():
    deliver_due(timezone.now())
    return mail.outbox


def test_five_failures_in_a_row_send_one_email_with_where_from(device, enter):
    for _ in range(5):
        enter(wrong_for(device), ThrottleScope(session_ref="s"))
    [message] = sent()
    assert message.to == [device.user.email]
    assert "Five incorrect codes in a row" in message.subject
    assert HERE.address in message.body
    assert HERE.user_agent in message.body


def test_few_wrong_codes_send_no_email(device, enter):
    for n in range(4):
        enter(wrong_for(device), ThrottleScope(session_ref=f"s{n}"))
    assert sent() == []


def happened():
    return record(event=EventName.MFA_RESET, actor=None)


@pytest.fixture
def all_emails(person, device, enter):
    """One of each kind."""
    codes = replace_recovery_codes(user_id=person.pk)
    enter_recovery_code(person, codes[0])
    admin = UserFactory(admin=True)
    emails.turned_on(event=happened(), user=person, client_info=HERE)
    emails.reset(event=happened(), user=admin, by="Ada", reason="{{ 7|add:7 }} <b>")
    emails.five_failures(event=happened(), user=person, client_info=HERE)
    emails.month_limit_reached(event=happened(), user=person, is_trusted_browser=True)
    emails.lockout_lifted(event=happened(), user=person, by="Ada", reason="why")
    emails.recovery_codes_made(event=happened(), user=person, client_info=HERE)
    emails.password_changed(event=happened(), user=person, client_info=HERE, how="through a link")
    emails.new_browser(event=happened(), user=person, client_info=HERE)
    return [code_for(device), device.key, device.secret.hex(), *codes]


def test_no_email_holds_a_secret_or_a_link_that_acts(all_emails, settings):
    assert len(sent()) == 10
    for message in mail.outbox:
        assert not any(secret in message.body for secret in all_emails)
        links = re.findall(r"\S+://\S+", message.body)
        assert links == [settings.PORTAL_URL]


def test_what_people_type_is_text_in_a_mail(all_emails):
    [reset] = [message for message in sent() if message.subject.endswith("Your MFA was reset")]
    assert "{{ 7|add:7 }} <b>" in reset.body


def test_no_subject_is_of_two_lines(db):
    person = UserFactory(name="Petra\r\nBcc: evil@example.org", admin=True)
    UserFactory(admin=True)
    event = record(event=EventName.MFA_RESET, actor=person)
    emails.reset(event=event, user=person, by="Ada", reason="x")
    assert len(sent()) == 2
    assert not any("\n" in message.subject for message in mail.outbox)


def test_mail_that_cannot_be_sent_breaks_nothing(device, enter, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    for _ in range(5):
        enter(wrong_for(device), ThrottleScope(session_ref="s"))
    assert deliver_due(timezone.now()) == 0
    assert Delivery.objects.waiting().count() == 1
