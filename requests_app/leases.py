"""Who works on a grant: short leases by the database's clock, so that a killed worker's run out."""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from audit.events import EventName
from audit.services import record
from requests_app.models import Grant, GrantState

FIRST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(seconds=60)


def claim(
    worker_id: str, *, integration_id: int | None, state: GrantState, limit: int, now: datetime
) -> tuple[str, list[Grant]]:
    """Take up to ``limit`` grants whose turn has come, longest waiting first.

    Returns the lease, a name no other claim has, and the grants. Workers leave each other's rows
    alone through SKIP LOCKED where there is such, and through the conditional update everywhere.
    """
    lease = f"{worker_id[:50]}/{secrets.token_hex(4)}"
    with transaction.atomic():
        waiting = Grant.objects.to_work_on(now).filter(state=state, integration=integration_id)
        if connection.features.has_select_for_update_skip_locked:
            waiting = waiting.select_for_update(skip_locked=True)
        pks = list(waiting.order_by("next_try_at", "pk").values_list("pk", flat=True)[:limit])
        free = Grant.objects.unleased().filter(pk__in=pks, state=state)
        free.update(lease_by=lease, lease_until=Now() + settings.WORKER_LEASE)
    held = Grant.objects.filter(pk__in=pks, lease_by=lease)
    return lease, list(held.select_related("integration", "request").order_by("next_try_at", "pk"))


def renew(grants: Iterable[Grant], lease: str) -> bool:
    """Prolong a lease between two outside calls. False if another worker holds a grant by now."""
    pks = [grant.pk for grant in grants]
    mine = Grant.objects.filter(pk__in=pks, lease_by=lease)
    return mine.update(lease_until=Now() + settings.WORKER_LEASE) == len(pks)


def release(grant: Grant, lease: str) -> None:
    Grant.objects.filter(pk=grant.pk, lease_by=lease).update(lease_by="", lease_until=None)


def retry_later(
    grant: Grant, lease: str, *, step: str, sentence: str, latest: datetime | None = None
) -> None:
    """Give a grant back until its next turn. The reason is put on the record when it is new."""
    sentence = sentence[:500]
    delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(grant.tries, 10))
    next_try_at = timezone.now() + delay
    with transaction.atomic():
        given_back = Grant.objects.filter(pk=grant.pk, lease_by=lease).update(
            lease_by="",
            lease_until=None,
            tries=F("tries") + 1,
            next_try_at=min(next_try_at, latest) if latest else next_try_at,
            last_error=sentence,
        )
        if given_back and sentence != grant.last_error:
            record(
                event=EventName.GRANT_RETRY,
                actor=None,
                target=grant,
                request=grant.request,
                metadata={"step": step, "reason": sentence},
            )
