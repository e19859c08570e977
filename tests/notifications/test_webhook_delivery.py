"""Webhook deliveries: content, signature, retries."""

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
from apono_portal.notifications.webhook_delivery import deliver_webhooks
from audit.events import EventName
from audit.models import Delivery
from audit.services import record
from mfa.models import Verification
from tests.factories import AccessRequestFactory, UserFactory, VerificationFactory, WebhookFactory
from tests.notifications.conftest import run_fan_out

pytestmark = pytest.mark.django_db
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def posted(inbox) -> list:
    run_fan_out()
    deliver_webhooks(timezone.now())
    return inbox.bodies


@pytest.fixture
def webhook(inbox) -> Webhook:
    return WebhookFactory(url=inbox.url, secret=SECRET)


def test_signature_follows_standard_webhooks(webhook, inbox, desk):
    desk.submit()
    posted(inbox)
    [(headers, body)] = inbox.posts
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(b"k" * 32, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10


def test_body_has_the_event_and_a_link(webhook, inbox, desk, settings):
    request = desk.submit()
    [body] = posted(inbox)
    assert body["type"] == "request.submit"
    assert body["data"]["kind"] == "decision_needed"
    assert body["data"]["request"]["reference"] == request.reference
    assert body["data"]["request"]["targets"] == [str(request.targets.get())]
    assert body["text"].startswith(f"{request.reference} needs your decision")
    assert body["text"].endswith(f"{settings.PORTAL_URL}/approvals/{request.reference}/")


def test_body_has_the_mfa_evidence_of_requester_and_approver(webhook, inbox, desk):
    type(desk.flow).objects.filter(pk=desk.flow.pk).update(require_mfa=True)
    desk.flow.refresh_from_db()
    own = VerificationFactory(user=desk.requester, address="192.0.2.7")
    theirs = VerificationFactory(user=desk.approvers[0], address="192.0.2.8")
    request = AccessRequestFactory(
        requester=desk.requester, flow=desk.flow, verification=own, verified_from="192.0.2.7"
    )
    metadata = {"verification": theirs.pk}
    record(
        event=EventName.REQUEST_APPROVE,
        actor=desk.approvers[0],
        target=request,
        request=request,
        metadata=metadata,
    )
    requester, approver = posted(inbox)[0]["data"]["mfa"]
    assert (requester["user"], requester["address"]) == (str(desk.requester), "192.0.2.7")
    assert requester["verified_at"] == _as_json(own.at)
    assert requester["authenticator"] == "Authentication app"
    assert (approver["user"], approver["address"]) == (str(desk.approvers[0]), "192.0.2.8")
    assert approver["verification"] == theirs.pk


def _as_json(at) -> str:
    from django.core.serializers.json import DjangoJSONEncoder

    return json.loads(json.dumps(Verification(at=at).at, cls=DjangoJSONEncoder))


def test_chat_gets_one_sentence_without_mentions(inbox, desk):
    WebhookFactory(url=inbox.url, form=Webhook.Form.CHAT)
    type(desk.requester).objects.update(name="@channel <!here|x>")
    desk.requester.refresh_from_db()
    desk.submit()
    [body] = posted(inbox)
    assert list(body) == ["text"]
    assert "<" not in body["text"]
    assert "@channel" not in body["text"]


def test_only_chosen_kinds_are_sent(inbox, desk):
    WebhookFactory(url=inbox.url, kinds=[Kind.DECIDED])
    request = desk.submit()
    assert posted(inbox) == []
    desk.decide(request)
    assert [body["type"] for body in posted(inbox)] == ["request.approve"]


def test_security_event_has_actor_and_address(webhook, inbox):
    from apono_portal.core.web.client import ClientInfo

    user = UserFactory()
    record(event=EventName.MFA_SET_UP, actor=user, target=user, client_info=ClientInfo("192.0.2.9"))
    [body] = posted(inbox)
    assert (body["type"], body["data"]["address"]) == ("mfa.set_up", "192.0.2.9")
    assert body["data"]["actor"] == str(user)


def test_failed_delivery_is_retried_under_the_same_id(webhook, inbox, desk):
    inbox.statuses = [503, 204]
    desk.submit()
    posted(inbox)
    delivery = Delivery.objects.get(channel="webhook")
    assert (delivery.state, delivery.last_error) == ("waiting", "The webhook answered 503.")
    assert deliver_webhooks(timezone.now() + timedelta(seconds=31)) == 1
    first, second = (headers["webhook-id"] for headers, _ in inbox.posts)
    assert first == second


def test_redirect_is_not_followed(webhook, inbox, desk):
    inbox.statuses = [302]
    desk.submit()
    assert len(posted(inbox)) == 1
    assert "Redirects are not followed" in Delivery.objects.get(channel="webhook").last_error


def test_410_ends_the_attempts(webhook, inbox, desk):
    inbox.statuses = [410]
    desk.submit()
    posted(inbox)
    assert Delivery.objects.get(channel="webhook").state == Delivery.State.FAILED


def test_inactive_webhook_gets_no_waiting_delivery(webhook, inbox, desk):
    desk.submit()
    run_fan_out()
    Webhook.objects.update(is_active=False)
    assert posted(inbox) == []
    assert "turned off" in Delivery.objects.get(channel="webhook").last_error


def test_error_shows_the_host_only(webhook, inbox, desk):
    inbox.server.server_close()
    desk.submit()
    run_fan_out()
    deliver_webhooks(timezone.now())
    error = Delivery.objects.get(channel="webhook").last_error
    assert "127.0.0.1" in error
    assert "T0P-S3CRET" not in error


def test_address_and_secret_are_encrypted(webhook, inbox, desk):
    desk.submit()
    posted(inbox)
    rows = [*Webhook.objects.values(), *Delivery.objects.values()]
    assert not any(text in str(rows) for text in ("T0P-S3CRET", SECRET, SECRET[6:]))
