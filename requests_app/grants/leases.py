"""Leases of workers on grants, by the database's clock; those of a killed worker expire.

A lease only keeps two workers from doing the same. What a worker does after its lease has expired is made
harmless by the state it is recorded against, here and on the target: tests/requests_app/worker/lease_model.py
tries every order.
"""

import secrets
import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils import timezone

from audit.events import EventName
from audit.services import record_many
from requests_app.models import Grant, GrantState

MIN_RETRY_DELAY = timedelta(seconds=1)
MAX_RETRY_DELAY = timedelta(seconds=60)

# Of the request only what the steps use: hundreds are in memory at a time.
_FIELDS = (
    *(field.name for field in Grant._meta.concrete_fields),
    "request__pending_until",
    "request__by_agent",
)


def claim(
    worker_id: str,
    *,
    integration_id: int | None,
    state: GrantState,
    limit: int,
    duration: timedelta,
    now: datetime,
) -> tuple[str, list[Grant]]:
    """Lease up to ``limit`` due grants, longest waiting first. Return the lease's name and the grants.

    Workers skip each other's rows by SKIP LOCKED where available, and by the guarded update everywhere.
    """
    lease = f"{worker_id[:50]}/{secrets.token_hex(4)}"
    with transaction.atomic():
        due = Grant.objects.to_work_on(now).filter(state=state, integration=integration_id)
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        pks = list(due.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[:limit])
        free = Grant.objects.unleased().filter(pk__in=pks, state=state)
        free.update(lease_by=lease, lease_until=Now() + duration)
    held = Grant.objects.filter(pk__in=pks, lease_by=lease)
    held = held.select_related("request").only(*_FIELDS)
    # All have one integration, so prefetching loads it once.
    return lease, list(held.prefetch_related("integration").order_by("next_attempt_at", "pk"))


def renew(grants: Iterable[Grant], lease: str) -> bool:
    """Extend a lease between two calls to a target. False if another worker holds a grant by now."""
    pks = [grant.pk for grant in grants]
    leased = Grant.objects.filter(pk__in=pks, lease_by=lease)
    return leased.update(lease_until=lease_end()) == len(pks)


def lease_end() -> Combinable:
    """Return the end of a lease renewed now, by the database's clock."""
    return Now() + settings.WORKER_LEASE


def release(grants: Iterable[Grant], lease: str) -> None:
    leased = Grant.objects.filter(pk__in=[grant.pk for grant in grants], lease_by=lease)
    leased.update(lease_by="", lease_until=None)


def retry_later(
    grants: Collection[Grant],
    lease: str | None,
    *,
    step: str,
    sentence: str,
    latest: datetime | None = None,
    max_delay: timedelta = MAX_RETRY_DELAY,
) -> None:
    """Release grants until their next attempt, after ``max_delay`` and at ``latest`` at the latest.

    The reason is recorded when it is new. Without a lease, as where two workers may contain at once,
    the attempt counts whoever holds the grants.
    """
    sentence, now = sentence[:500], timezone.now()
    by_time: dict[datetime, list[Grant]] = {}
    for grant in grants:
        at = now + min(max_delay, MIN_RETRY_DELAY * 2 ** min(grant.attempts, 10))
        by_time.setdefault(min(filter(None, [at, latest])), []).append(grant)
    with transaction.atomic():
        released: set[uuid.UUID] = set()
        for at, group in by_time.items():
            leased = Grant.objects.select_for_update(of=("self",)).filter(
                Q(state=GrantState.REVOKING) if lease is None else Q(lease_by=lease),
                pk__in=[grant.pk for grant in group],
            )
            pks = list(leased.order_by("pk").values_list("pk", flat=True))
            released.update(pks)
            Grant.objects.filter(pk__in=pks).update(
                lease_by="",
                lease_until=None,
                attempts=F("attempts") + 1,
                next_attempt_at=at,
                last_error=sentence,
            )
        metadata = {"step": step, "reason": sentence}
        about = [
            (grant, grant.request, metadata)
            for grant in grants
            if grant.pk in released and grant.last_error != sentence
        ]
        record_many(event=EventName.GRANT_RETRY, actor=None, entries=about)
