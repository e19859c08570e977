"""Webhooks: what is posted, signed, to which addresses, and what becomes of what is not taken."""

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from apono_portal.notifications.kinds import Kind
from apono_portal.notifications.models import Webhook
from apono_portal.notifications.worker_tasks import post_due
from audit.events import EventName
from audit.models import Delivery
from audit.services import record
from mfa.models import Verification
from tests.factories import AccessRequestFactory, UserFactory, VerificationFactory, WebhookFactory
from tests.notifications.conftest import read_on

pytestmark = pytest.mark.django_db
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def posted(inbox) -> list:
    read_on()
    post_due(timezone.now())
    return inbox.bodies


@pytest.fixture
def webhook(inbox) -> Webhook:
    return WebhookFactory(url=inbox.url, secret=SECRET)


def test_a_post_is_signed_as_standard_webhooks_says(webhook, inbox, desk):
    desk.ask()
    posted(inbox)
    [(headers, body)] = inbox.posts
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(b"k" * 32, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10


def test_a_post_says_what_happened_and_where_to_look(webhook, inbox, desk, settings):
    request = desk.ask()
    [body] = posted(inbox)
    assert body["type"] == "request.submit"
    assert body["data"]["kind"] == "decision_needed"
    assert body["data"]["request"]["reference"] == request.reference
    assert body["data"]["request"]["targets"] == [str(request.targets.get())]
    assert body["text"].startswith(f"{request.reference} needs your decision")
    assert body["text"].endswith(f"{settings.PORTAL_URL}/approvals/{request.reference}/")


def test_the_mfa_evidence_of_requester_and_approver_is_in_the_post(webhook, inbox, desk):
    type(desk.flow).objects.filter(pk=desk.flow.pk).update(require_mfa=True)
    desk.flow.refresh_from_db()
    own = VerificationFactory(user=desk.requester, address="192.0.2.7")
    theirs = VerificationFactory(user=desk.approvers[0], address="192.0.2.8")
    request = AccessRequestFactory(
        requester=desk.requester, flow=desk.flow, verification=own, verified_from="192.0.2.7"
    )
    told = {"verification": theirs.pk}
    record(
        event=EventName.REQUEST_APPROVE,
        actor=desk.approvers[0],
        target=request,
        request=request,
        metadata=told,
    )
    asker, decider = posted(inbox)[0]["data"]["mfa"]
    assert (asker["person"], asker["address"]) == (str(desk.requester), "192.0.2.7")
    assert asker["verified_at"] == _as_json(own.at)
    assert asker["authenticator"] == "Authentication app"
    assert (decider["person"], decider["address"]) == (str(desk.approvers[0]), "192.0.2.8")
    assert decider["verification"] == theirs.pk


def _as_json(at) -> str:
    from django.core.serializers.json import DjangoJSONEncoder

    return json.loads(json.dumps(Verification(at=at).at, cls=DjangoJSONEncoder))


def test_a_chat_gets_one_sentence_without_mentions(inbox, desk):
    WebhookFactory(url=inbox.url, form=Webhook.Form.CHAT)
    type(desk.requester).objects.update(name="@channel <!here|x>")
    desk.requester.refresh_from_db()
    desk.ask()
    [body] = posted(inbox)
    assert list(body) == ["text"]
    assert "<" not in body["text"]
    assert "@channel" not in body["text"]


def test_only_chosen_kinds_are_posted(inbox, desk):
    WebhookFactory(url=inbox.url, kinds=[Kind.DECIDED])
    request = desk.ask()
    assert posted(inbox) == []
    desk.decide(request)
    assert [body["type"] for body in posted(inbox)] == ["request.approve"]


def test_security_events_are_posted_with_who_and_where_from(webhook, inbox):
    from apono_portal.core.web.client import ClientInfo

    person = UserFactory()
    record(
        event=EventName.MFA_SET_UP, actor=person, target=person, client_info=ClientInfo("192.0.2.9")
    )
    [body] = posted(inbox)
    assert (body["type"], body["data"]["address"]) == ("mfa.set_up", "192.0.2.9")
    assert body["data"]["actor"] == str(person)


def test_what_is_not_taken_is_tried_again_under_the_same_id(webhook, inbox, desk):
    inbox.statuses = [503, 204]
    desk.ask()
    posted(inbox)
    delivery = Delivery.objects.get(channel="webhook")
    assert (delivery.state, delivery.last_error) == ("waiting", "The webhook answered 503.")
    assert post_due(timezone.now() + timedelta(seconds=31)) == 1
    first, second = (headers["webhook-id"] for headers, _ in inbox.posts)
    assert first == second


def test_a_redirect_is_not_followed(webhook, inbox, desk):
    inbox.statuses = [302]
    desk.ask()
    assert len(posted(inbox)) == 1
    assert "Redirects are not followed" in Delivery.objects.get(channel="webhook").last_error


def test_a_webhook_that_is_gone_ends_the_tries(webhook, inbox, desk):
    inbox.statuses = [410]
    desk.ask()
    posted(inbox)
    assert Delivery.objects.get(channel="webhook").state == Delivery.State.FAILED


def test_one_that_was_switched_off_gets_nothing_that_waits(webhook, inbox, desk):
    desk.ask()
    read_on()
    Webhook.objects.update(is_active=False)
    assert posted(inbox) == []
    assert "switched off" in Delivery.objects.get(channel="webhook").last_error


def test_what_it_answers_is_never_shown(webhook, inbox, desk):
    inbox.server.server_close()
    desk.ask()
    read_on()
    post_due(timezone.now())
    said = Delivery.objects.get(channel="webhook").last_error
    assert "127.0.0.1" in said
    assert "T0P-S3CRET" not in said


def test_address_and_secret_are_in_no_plain_column(webhook, inbox, desk):
    desk.ask()
    posted(inbox)
    rows = [*Webhook.objects.values(), *Delivery.objects.values()]
    assert not any(text in str(rows) for text in ("T0P-S3CRET", SECRET, SECRET[6:]))
