"""Signed delivery of notifications to webhooks."""

import time
from datetime import datetime

from accessflows.connectors.webhook.signing import key_of, signed_headers
from apono_portal.core.crypto.encryption import DecryptionFailed
from apono_portal.core.web import http_client
from apono_portal.core.web.ssrf_guard import AddressRefused
from apono_portal.notifications.models import Webhook
from audit.models import Delivery
from audit.outbox.deliveries import DeliveryFailed, deliver_due

GONE = 410  # Standard Webhooks: the receiver wants no more messages


def deliver_webhooks(now: datetime) -> int:
    """Send the due webhook deliveries: a worker task of its own, so that none delays an email."""
    return deliver_due(now, channel=Delivery.Channel.WEBHOOK, send=post_delivery)


def post_delivery(delivery: Delivery) -> None:
    """Post a delivery to its webhook, or raise `DeliveryFailed`. Every attempt has the same id."""
    webhook = Webhook.objects.filter(pk=int(delivery.recipient), is_active=True).first()
    if webhook is None:
        raise DeliveryFailed("The webhook was turned off or deleted.", is_final=True)
    body, message_id = delivery.body.encode(), f"msg_{delivery.pk}_{webhook.secret_id.hex}"
    try:
        headers = signed_headers(key_of(webhook.secret), message_id, int(time.time()), body)
        status = http_client.post(webhook.url, body, headers).status
    except DecryptionFailed:
        raise DeliveryFailed(
            "No key in ENCRYPTION_KEYS decrypts this webhook's address or secret."
        ) from None
    except AddressRefused as refused:
        raise DeliveryFailed(refused.sentence) from None
    except http_client.RequestFailed as failed:
        raise DeliveryFailed(failed.sentence, endpoint_down=True) from None
    if not 200 <= status < 300:
        raise _failure(status)


def _failure(status: int) -> DeliveryFailed:
    if status == GONE:
        return DeliveryFailed("The webhook answered 410: it is gone.", is_final=True)
    if 300 <= status < 400:
        return DeliveryFailed(f"The webhook answered {status}. Redirects are not followed.")
    return DeliveryFailed(f"The webhook answered {status}.")
