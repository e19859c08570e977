"""Pages of notices: one's own mails, deliveries that can be sent again, webhooks with a secret."""

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

BODY = "the text nobody reads on the page"


def sent(recipient="petra@example.org", state=Delivery.State.SENT) -> Delivery:
    event = record(event=EventName.MFA_RESET, actor=None)
    enqueue_email(event=event, recipient=recipient, subject="Your MFA was reset", body=BODY)
    Delivery.objects.filter(event_id=event.pk).update(state=state, sent_at=timezone.now())
    return Delivery.objects.get(event_id=event.pk)


def test_a_person_chooses_which_mails_come(member_client, member_user):
    member_client.post("/account/notices/", {"requests": [Kind.ENDED], "approvals": []})
    unwanted = set(EmailOptOut.objects.filter(user=member_user).values_list("kind", flat=True))
    assert Kind.ENDED not in unwanted
    assert {Kind.ACTIVE, Kind.DECISION_NEEDED} <= unwanted
    told = Event.objects.get(event=EventName.NOTIFICATION_CHOOSE).metadata
    assert "active" in told["switched_off"]


def test_a_choice_can_be_taken_back(member_client, member_user):
    member_client.post("/account/notices/", {})
    everything = {"requests": ["active", "ended"], "approvals": ["handled"]}
    member_client.post("/account/notices/", everything)
    unwanted = set(EmailOptOut.objects.values_list("kind", flat=True))
    assert not {"active", "ended", "handled"} & unwanted


def test_security_cannot_be_switched_off(member_client, admin_client):
    for client in (member_client, admin_client):
        page = client.get("/account/notices/").content.decode()
        assert 'value="security"' not in page
        assert "Always sent" in page


def test_notices_about_targets_are_offered_to_admins(member_client, admin_client):
    assert 'value="drift"' not in member_client.get("/account/notices/").content.decode()
    assert 'value="drift"' in admin_client.get("/account/notices/").content.decode()


def test_what_is_not_offered_is_refused(member_client):
    assert member_client.post("/account/notices/", {"requests": ["security"]}).status_code == 422


def test_deliveries_say_to_whom_and_what_came_of_it_and_not_the_text(auditor_client):
    delivery = sent(state=Delivery.State.WAITING)
    Delivery.objects.update(last_error="The mail server did not take it.", attempts=3)
    page = auditor_client.get("/deliveries/").content.decode()
    assert delivery.recipient in page
    assert "The mail server did not take it." in page
    assert BODY not in page
    assert "Send again" not in page


def test_deliveries_can_be_narrowed(auditor_client):
    sent("petra@example.org")
    sent("quentin@example.org", state=Delivery.State.FAILED)
    for query, found in (("state=failed", "quentin"), ("to=petra", "petra")):
        page = auditor_client.get(f"/deliveries/?{query}").content.decode()
        others = {"petra", "quentin"} - {found}
        assert found + "@" in page
        assert not any(other + "@" in page for other in others)


def test_an_admin_sends_one_again(admin_client):
    delivery = sent()
    admin_client.post(f"/deliveries/{delivery.pk}/send-again/")
    assert deliver_due(timezone.now()) == 1
    assert mail.outbox[0].to == [delivery.recipient]
    event = Event.objects.get(event=EventName.DELIVERY_SEND_AGAIN)
    assert event.metadata == {"told_of": delivery.event_id, "was": "sent"}


def test_what_waits_is_not_sent_again(admin_client):
    delivery = sent(state=Delivery.State.WAITING)
    answer = admin_client.post(f"/deliveries/{delivery.pk}/send-again/", follow=True)
    assert "waits to be sent already" in answer.content.decode()
    assert not Event.objects.filter(event=EventName.DELIVERY_SEND_AGAIN).exists()


def test_the_list_asks_the_database_as_often_for_many(auditor_client, questions_of):
    sent()
    few = questions_of(auditor_client, "/deliveries/")
    for number in range(30):
        sent(f"person{number}@example.org")
    assert questions_of(auditor_client, "/deliveries/") == few


TERMS = {
    "name": "Ops channel",
    "url": "https://hooks.example.org/services/T0P-S3CRET",
    "form": "chat",
    "kinds": ["drift", "stuck"],
    "is_active": "on",
}


def test_the_secret_of_a_new_webhook_is_shown_once(admin_client):
    answer = admin_client.post("/webhooks/new/", TERMS)
    [secret] = re.findall(r"whsec_[\w+/=]+", answer.content.decode())
    webhook = Webhook.objects.get()
    assert webhook.secret == secret
    assert "no-store" in answer.headers["Cache-Control"]
    for page in ("/webhooks/", f"/webhooks/{webhook.pk}/", "/audit-log/"):
        shown = admin_client.get(page).content.decode()
        assert "whsec_" not in shown
        assert "T0P-S3CRET" not in shown


def test_neither_address_nor_secret_is_on_the_record(admin_client):
    admin_client.post("/webhooks/new/", TERMS)
    webhook = Webhook.objects.get()
    admin_client.post(f"/webhooks/{webhook.pk}/secret/")
    admin_client.post(f"/webhooks/{webhook.pk}/", {**TERMS, "url": TERMS["url"] + "-2"})
    told = str(list(Event.objects.values()))
    assert not any(text in told for text in ("T0P-S3CRET", "whsec_"))
    names = set(Event.objects.filter(event__startswith="webhook:").values_list("event", flat=True))
    assert names == {"webhook:create", "webhook:replace_secret", "webhook:change"}


def test_an_address_inside_is_refused_on_the_form(admin_client):
    answer = admin_client.post("/webhooks/new/", {**TERMS, "url": "https://169.254.169.254/"})
    assert answer.status_code == 422
    assert Webhook.objects.count() == 0


def test_editing_keeps_the_address_unless_another_is_typed(admin_client):
    webhook = WebhookFactory(url=TERMS["url"])
    admin_client.post(f"/webhooks/{webhook.pk}/", {**TERMS, "url": ""})
    webhook = Webhook.objects.get()
    assert (webhook.name, webhook.url) == ("Ops channel", TERMS["url"])


def test_a_test_goes_to_that_webhook_alone(admin_client):
    webhook, _ = WebhookFactory(), WebhookFactory()
    admin_client.post(f"/webhooks/{webhook.pk}/test/")
    assert Delivery.objects.get().recipient == str(webhook.pk)


def test_a_deleted_webhook_leaves_its_deliveries(admin_client):
    webhook = WebhookFactory(name="Old channel")
    admin_client.post(f"/webhooks/{webhook.pk}/test/")
    admin_client.post(f"/webhooks/{webhook.pk}/delete/")
    assert not Webhook.objects.exists()
    assert "Old channel" in admin_client.get("/deliveries/").content.decode()


@pytest.mark.parametrize("action", ["secret", "test", "delete"])
def test_looking_changes_nothing(admin_client, action):
    webhook = WebhookFactory()
    before = webhook.encrypted_secret
    admin_client.get(f"/webhooks/{webhook.pk}/{action}/")
    assert Webhook.objects.get().encrypted_secret == before
    assert Delivery.objects.count() == 0
