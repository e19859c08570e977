"""Who works on a grant: short leases by the database's clock, so that a killed worker's run out."""

import secrets
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from audit.events import EventName
from audit.services import record_many
from requests_app.models import Grant, GrantState

FIRST_DELAY = timedelta(seconds=1)

LONGEST_DELAY = timedelta(seconds=60)

# Of a grant all, and of its request what steps ask of it: hundreds are held at once.
_NEEDED = (*(field.name for field in Grant._meta.concrete_fields), "request__pending_until")


def claim(
    worker_id: str,
    *,
    integration_id: int | None,
    state: GrantState,
    limit: int,
    lasts: timedelta,
    now: datetime,
) -> tuple[str, list[Grant]]:
    """Take up to ``limit`` grants whose turn has come, longest waiting first, for so long.

    Returns the lease, a name no other claim has, and the grants. Workers leave each other's rows
    alone through SKIP LOCKED where there is such, and through the conditional update everywhere.
    """
    lease = f"{worker_id[:50]}/{secrets.token_hex(4)}"
    with transaction.atomic():
        waiting = Grant.objects.to_work_on(now).filter(state=state, integration=integration_id)
        if connection.features.has_select_for_update_skip_locked:
            waiting = waiting.select_for_update(skip_locked=True)
        pks = list(waiting.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[:limit])
        free = Grant.objects.unleased().filter(pk__in=pks, state=state)
        free.update(lease_by=lease, lease_until=Now() + lasts)
    held = Grant.objects.filter(pk__in=pks, lease_by=lease)
    held = held.select_related("request").only(*_NEEDED)
    # The integration is one for all, and held once.
    return lease, list(held.prefetch_related("integration").order_by("next_attempt_at", "pk"))


def renew(grants: Iterable[Grant], lease: str) -> bool:
    """Prolong a lease between two outside calls. False if another worker holds a grant by now.

    Who asks goes on only if that does no harm.
    """
    pks = [grant.pk for grant in grants]
    mine = Grant.objects.filter(pk__in=pks, lease_by=lease)
    return mine.update(lease_until=Now() + settings.WORKER_LEASE) == len(pks)


def release(grants: Iterable[Grant], lease: str) -> None:
    mine = Grant.objects.filter(pk__in=[grant.pk for grant in grants], lease_by=lease)
    mine.update(lease_by="", lease_until=None)


def retry_later(
    grants: Collection[Grant],
    lease: str,
    *,
    step: str,
    sentence: str,
    latest: datetime | None = None,
    longest: timedelta = LONGEST_DELAY,
) -> None:
    """Give grants back until their next turn, ``longest`` away at most and never after ``latest``.

    The reason is put on the record when it is new.
    """
    sentence, now = sentence[:500], timezone.now()
    by_turn: dict[datetime, list[Grant]] = {}
    for grant in grants:
        turn = now + min(longest, FIRST_DELAY * 2 ** min(grant.attempts, 10))
        by_turn.setdefault(min(filter(None, [turn, latest])), []).append(grant)
    with transaction.atomic():
        given_back: set[Any] = set()
        for turn, group in by_turn.items():
            mine = Grant.objects.select_for_update(of=("self",)).filter(
                pk__in=[grant.pk for grant in group], lease_by=lease
            )
            pks = list(mine.order_by("pk").values_list("pk", flat=True))
            given_back.update(pks)
            Grant.objects.filter(pk__in=pks).update(
                lease_by="",
                lease_until=None,
                attempts=F("attempts") + 1,
                next_attempt_at=turn,
                last_error=sentence,
            )
        news = [each for each in grants if each.pk in given_back and each.last_error != sentence]
        told = {"step": step, "reason": sentence}
        about = [(grant, grant.request, told) for grant in news]
        record_many(event=EventName.GRANT_RETRY, actor=None, entries=about)
