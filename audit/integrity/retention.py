"""Retention: old events go, a sealed stub stays in their place, and the chain still verifies.

The stub is written first, in one transaction with its event; the triggers let go of what it covers
and of nothing else (audit/integrity/triggers.py). What it covers is then deleted in short transactions; a
run that is cut short is finished by the next.
"""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, Min
from django.utils import timezone

from apono_portal.core.crypto.keyring import chain_keys, newest_key_id
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.integrity.chain import latest_stub, stub_record
from audit.integrity.checkpoints import lock_chain
from audit.models import ChainEntry, Checkpoint, Event, RetentionStub
from audit.services import record
from audit.verify_export import hash_of, mac_of

BATCH = 2000


class PruneRefused(Exception):
    """Nothing was removed; the sentence says why."""


def prune_log(
    *, actor: Any | None = None, before: datetime, client_info: ClientInfo = SYSTEM
) -> RetentionStub | None:
    """Remove whole seals, from the beginning on, whose events are all older than ``before``.

    Returns the stub that stands for them, None if there is nothing that old. Verify the log first:
    what is wrong with it cannot be told once it is gone.
    """
    if before > timezone.now():
        raise PruneRefused("The day lies in the future. Choose one that has passed.")
    with transaction.atomic():
        if lock_chain() is None:
            raise PruneRefused("The log is being sealed at this moment. Attempt again.")
        stub = _write_stub(before)
        if stub:
            told = {"before": before, "events": stub.events, "through_seal": stub.through_seal}
            record(event=EventName.AUDIT_PRUNE, actor=actor, client_info=client_info, metadata=told)
    delete_covered()
    return stub


def _write_stub(before: datetime) -> RetentionStub | None:
    young = Event.objects.filter(at__gte=before).values("pk")
    first_kept = ChainEntry.objects.filter(event_id__in=young).aggregate(at=Min("position"))["at"]
    earlier = latest_stub()
    seals = Checkpoint.objects.filter(number__gt=earlier.through_seal if earlier else 0)
    if first_kept is not None:
        seals = seals.filter(last_position__lt=first_kept)
    last = seals.order_by("-number").first()
    if last is None:
        return None
    gone = ChainEntry.objects.filter(position__lte=last.last_position)
    if earlier:
        gone = gone.filter(position__gt=earlier.through_position)
    ages = Event.objects.filter(pk__in=gone.values("event_id")).aggregate(
        first=Min("at"), last=Max("at")
    )
    stub = RetentionStub(
        through_position=last.last_position,
        through_seal=last.number,
        events=gone.count() + (earlier.events if earlier else 0),
        link=last.link,
        seal_hash=last.hash,
        first_at=earlier.first_at if earlier else ages["first"],
        last_at=ages["last"],
        removed_at=timezone.now(),
        key_id=newest_key_id(),
    )
    stub.hash = hash_of("stub", stub_record(stub))
    stub.mac = mac_of(chain_keys()[stub.key_id], stub.hash)
    stub.save(force_insert=True)
    return stub


def delete_covered() -> int:
    """Delete what the latest stub stands for and return how many events went."""
    stub = latest_stub()
    if stub is None:
        return 0
    places = ChainEntry.objects.filter(position__lte=stub.through_position).order_by("position")
    done = 0
    while chunk := list(places[:BATCH]):
        with transaction.atomic():
            events = Event.objects.filter(pk__in=[place.event_id for place in chunk])
            done += events.delete()[0]
            places.filter(position__lte=chunk[-1].position).order_by().delete()
    Checkpoint.objects.filter(number__lte=stub.through_seal).delete()
    return done
