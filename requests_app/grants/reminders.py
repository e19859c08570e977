"""Saying that access ends soon: once for each end."""

from datetime import datetime

from django.db import transaction

from audit.events import EventName
from audit.services import record_many
from requests_app.lifecycle import take_batch
from requests_app.models import AccessRequest


def remind_of_ends(*, now: datetime) -> int:
    """Put the reminders that are due on the record, a batch of them. Returns how many.

    A reminder is used up in the transaction of its event; an extension sets the next one. What has
    reached its end by now, as after an outage, needs none.
    """
    due = AccessRequest.objects.to_remind(now)
    if not due.exists():
        return 0
    with transaction.atomic():
        requests = list(take_batch(due.order_by("remind_at")))
        AccessRequest.objects.filter(pk__in=[each.pk for each in requests]).update(remind_at=None)
        about = [(each, each, {"until": each.ends_at}) for each in requests]
        record_many(event=EventName.REQUEST_REMIND, actor=None, entries=about)
    return len(requests)
