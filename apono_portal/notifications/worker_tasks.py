"""What a worker does for notices, beside its other work: read the record on, post what is due.

Webhooks have a thread of their own, so that one that does not answer delays no mail.
"""

from datetime import datetime

from apono_portal.notifications.fan_out import fan_out
from apono_portal.notifications.webhook_delivery import post_delivery
from audit.models import Delivery
from audit.outbox.deliveries import deliver_due

__all__ = ["fan_out", "post_due"]


def post_due(now: datetime) -> int:
    return deliver_due(now, channel=Delivery.Channel.WEBHOOK, send=post_delivery)
