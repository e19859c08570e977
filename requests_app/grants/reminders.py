"""Reminders that access expires soon, one for each end."""

from datetime import datetime, timedelta

from django.db import transaction

from audit.events import EventName
from audit.services import record_many
from requests_app.lifecycle import take_batch
from requests_app.models import AccessRequest

REMIND_BEFORE = timedelta(minutes=15)


def reminder_time(starts_at: datetime, ends_at: datetime) -> datetime:
    """Return when to remind: `REMIND_BEFORE` the end, or in the last tenth of shorter access."""
    return ends_at - min(REMIND_BEFORE, (ends_at - starts_at) / 10)


def record_reminders(*, now: datetime) -> int:
    """Record a batch of due reminders and return their number.

    A reminder is cleared in the transaction of its event; an extension sets the next one. Access
    that expired meanwhile, as during an outage, gets none.
    """
    due = AccessRequest.objects.to_remind(now)
    if not due.exists():
        return 0
    with transaction.atomic():
        requests = list(take_batch(due.order_by("remind_at")))
        AccessRequest.objects.filter(pk__in=[r.pk for r in requests]).update(remind_at=None)
        about = [(request, request, {"until": request.ends_at}) for request in requests]
        record_many(event=EventName.REQUEST_REMIND, actor=None, entries=about)
    return len(requests)
