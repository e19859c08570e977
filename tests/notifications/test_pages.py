"""Pages of email preferences, deliveries and webhooks."""

import re

import pytest
from django.core import mail
from django.utils import timezone

from apono_portal.notifications.kinds import Kind
from apono_portal.notifications.models import EmailOptOut, Webhook
from audit.events import EventName
from audit.models import Delivery, Event
from audit.outbox.deliveries import deliver_due, enqueue_email
from audit.services import record
from tests.factories import WebhookFactory
from tests.forms import post_form

BODY = "text of the email, which no page shows"


def delivery_to(recipient="petra@example.org", state=Delivery.State.SENT) -> Delivery:
    event = record(event=EventName.MFA_RESET, actor=None)
    enqueue_email(event=event, recipient=recipient, subject="Your MFA was reset", body=BODY)
    Delivery.objects.filter(event_id=event.pk).update(state=state, sent_at=timezone.now())
    return Delivery.objects.get(event_id=event.pk)


def test_user_chooses_kinds_of_email(member_client, member_user):
    post_form(member_client, "/account/notifications/", {"requests": [Kind.ENDED], "approvals": []})
    opt_outs = set(EmailOptOut.objects.filter(user=member_user).values_list("kind", flat=True))
    assert Kind.ENDED not in opt_outs
    assert {Kind.ACTIVE, Kind.DECISION_NEEDED} <= opt_outs
    metadata = Event.objects.get(event=EventName.NOTIFICATION_CHOOSE).metadata
    assert "active" in metadata["turned_off"]


def test_opt_out_can_be_undone(member_client, member_user):
    post_form(member_client, "/account/notifications/", {})
    choices = {"requests": ["active", "ended"], "approvals": ["handled"]}
    post_form(member_client, "/account/notifications/", choices)
    opt_outs = set(EmailOptOut.objects.values_list("kind", flat=True))
    assert not {"active", "ended", "handled"} & opt_outs


def test_security_emails_cannot_be_turned_off(member_client, admin_client):
    for client in (member_client, admin_client):
        page = client.get("/account/notifications/").content.decode()
        assert 'value="security"' not in page
        assert "Always sent" in page


def test_kinds_about_targets_are_offered_to_admins_only(member_client, admin_client):
    assert 'value="drift"' not in member_client.get("/account/notifications/").content.decode()
    assert 'value="drift"' in admin_client.get("/account/notifications/").content.decode()


def test_kind_that_was_not_offered_is_refused(member_client):
    assert (
        post_form(member_client, "/account/notifications/", {"requests": ["security"]}).status_code
        == 422
    )


def test_deliveries_show_recipient_and_error_but_not_the_text(auditor_client):
    delivery = delivery_to(state=Delivery.State.WAITING)
    Delivery.objects.update(last_error="The mail server did not accept it.", attempts=3)
    page = auditor_client.get("/deliveries/").content.decode()
    assert delivery.recipient in page
    assert "The mail server did not accept it." in page
    assert BODY not in page
    assert "Send again" not in page


def test_deliveries_can_be_filtered(auditor_client):
    delivery_to("petra@example.org")
    delivery_to("quentin@example.org", state=Delivery.State.FAILED)
    for query, name in (("state=failed", "quentin"), ("to=petra", "petra")):
        page = auditor_client.get(f"/deliveries/?{query}").content.decode()
        others = {"petra", "quentin"} - {name}
        assert name + "@" in page
        assert not any(other + "@" in page for other in others)


def test_admin_sends_a_delivery_again(admin_client):
    delivery = delivery_to()
    post_form(admin_client, f"/deliveries/{delivery.pk}/send-again/")
    assert deliver_due(timezone.now()) == 1
    assert mail.outbox[0].to == [delivery.recipient]
    event = Event.objects.get(event=EventName.DELIVERY_SEND_AGAIN)
    assert event.metadata == {"event": delivery.event_id, "previous_state": "sent"}


def test_waiting_delivery_is_not_sent_again(admin_client):
    delivery = delivery_to(state=Delivery.State.WAITING)
    response = post_form(admin_client, f"/deliveries/{delivery.pk}/send-again/", follow=True)
    assert "already waiting to be sent" in response.content.decode()
    assert not Event.objects.filter(event=EventName.DELIVERY_SEND_AGAIN).exists()


def test_query_count_does_not_depend_on_rows(auditor_client, questions_of):
    delivery_to()
    few = questions_of(auditor_client, "/deliveries/")
    for number in range(30):
        delivery_to(f"person{number}@example.org")
    assert questions_of(auditor_client, "/deliveries/") == few


WEBHOOK = {
    "name": "Ops channel",
    "url": "https://hooks.example.org/services/T0P-S3CRET",
    "form": "chat",
    "kinds": ["drift", "revocation_delayed"],
    "is_active": "on",
}


def test_new_secret_is_shown_once(admin_client):
    response = post_form(admin_client, "/webhooks/new/", WEBHOOK)
    [secret] = re.findall(r"whsec_[\w+/=]+", response.content.decode())
    webhook = Webhook.objects.get()
    assert webhook.secret == secret
    assert "no-store" in response.headers["Cache-Control"]
    for page in ("/webhooks/", f"/webhooks/{webhook.pk}/", "/audit-log/"):
        shown = admin_client.get(page).content.decode()
        assert "whsec_" not in shown
        assert "T0P-S3CRET" not in shown


def test_neither_address_nor_secret_is_recorded(admin_client):
    post_form(admin_client, "/webhooks/new/", WEBHOOK)
    webhook = Webhook.objects.get()
    post_form(admin_client, f"/webhooks/{webhook.pk}/secret/")
    post_form(admin_client, f"/webhooks/{webhook.pk}/", {**WEBHOOK, "url": WEBHOOK["url"] + "-2"})
    events = str(list(Event.objects.values()))
    assert not any(text in events for text in ("T0P-S3CRET", "whsec_"))
    names = set(Event.objects.filter(event__startswith="webhook:").values_list("event", flat=True))
    assert names == {"webhook:create", "webhook:replace_secret", "webhook:change"}


def test_internal_address_is_refused(admin_client):
    response = post_form(
        admin_client, "/webhooks/new/", {**WEBHOOK, "url": "https://169.254.169.254/"}
    )
    assert response.status_code == 422
    assert Webhook.objects.count() == 0


def test_editing_keeps_the_address_if_none_is_entered(admin_client):
    webhook = WebhookFactory(url=WEBHOOK["url"])
    post_form(admin_client, f"/webhooks/{webhook.pk}/", {**WEBHOOK, "url": ""})
    webhook = Webhook.objects.get()
    assert (webhook.name, webhook.url) == ("Ops channel", WEBHOOK["url"])


def test_test_message_goes_to_one_webhook(admin_client):
    webhook, _ = WebhookFactory(), WebhookFactory()
    post_form(admin_client, f"/webhooks/{webhook.pk}/test/")
    assert Delivery.objects.get().recipient == str(webhook.pk)


def test_deleting_a_webhook_keeps_its_deliveries(admin_client):
    webhook = WebhookFactory(name="Old channel")
    post_form(admin_client, f"/webhooks/{webhook.pk}/test/")
    post_form(admin_client, f"/webhooks/{webhook.pk}/delete/")
    assert not Webhook.objects.exists()
    assert "Old channel" in admin_client.get("/deliveries/").content.decode()


@pytest.mark.parametrize("action", ["secret", "test", "delete"])
def test_get_changes_nothing(admin_client, action):
    webhook = WebhookFactory()
    before = webhook.encrypted_secret
    admin_client.get(f"/webhooks/{webhook.pk}/{action}/")
    assert Webhook.objects.get().encrypted_secret == before
    assert Delivery.objects.count() == 0
