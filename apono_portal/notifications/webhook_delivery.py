"""Posting a notice to a webhook, signed."""

import time

from accessflows.connectors.webhook.signing import key_of, signed_headers
from apono_portal.core.crypto.encryption import DecryptionFailed
from apono_portal.core.web import http_client
from apono_portal.core.web.ssrf_guard import AddressRefused
from apono_portal.notifications.models import Webhook
from audit.models import Delivery
from audit.outbox.deliveries import DeliveryFailed

GONE = 410  # Standard Webhooks: the receiver wants no more


def post_delivery(delivery: Delivery) -> None:
    """Post a delivery to its webhook, or raise `DeliveryFailed`. Tries of one delivery share their id."""
    webhook = Webhook.objects.filter(pk=int(delivery.recipient), is_active=True).first()
    if webhook is None:
        raise DeliveryFailed("The webhook was switched off or deleted.", is_final=True)
    body, message_id = delivery.body.encode(), f"msg_{delivery.pk}_{webhook.secret_id.hex}"
    try:
        headers = signed_headers(key_of(webhook.secret), message_id, int(time.time()), body)
        status = http_client.post(webhook.url, body, headers).status
    except DecryptionFailed:
        raise DeliveryFailed(
            "ENCRYPTION_KEYS does not open this webhook's address or secret."
        ) from None
    except AddressRefused as refused:
        raise DeliveryFailed(refused.sentence) from None
    except http_client.RequestFailed as failed:
        raise DeliveryFailed(failed.sentence, endpoint_down=True) from None
    if not 200 <= status < 300:
        raise _refusal(status)


def _refusal(status: int) -> DeliveryFailed:
    if status == GONE:
        return DeliveryFailed("The webhook answered 410: it wants no more.", is_final=True)
    if 300 <= status < 400:
        return DeliveryFailed(f"The webhook answered {status}. Redirects are not followed.")
    return DeliveryFailed(f"The webhook answered {status}.")
