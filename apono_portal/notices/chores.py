"""What a worker does for notices, beside its other work: read the record on, post what is due.

Webhooks have a thread of their own, so that one that does not answer delays no mail.
"""

from datetime import datetime

from apono_portal.notices.fan_out import fan_out
from apono_portal.notices.posting import post_delivery
from audit.deliveries import deliver_due
from audit.models import Delivery

__all__ = ["fan_out", "post_due"]


def post_due(now: datetime) -> int:
    return deliver_due(now, channel=Delivery.Channel.WEBHOOK, carry=post_delivery)
