"""Retention: old events are removed, a signed stub takes their place, and the chain still verifies.

The stub is written first, in one transaction with its event. The triggers allow deleting what it
covers and nothing else (audit/integrity/triggers.py). That is then deleted in short transactions; an
interrupted run is completed by the next.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Max, Min
from django.utils import timezone

from apono_portal.core.crypto.keyring import chain_keys, newest_key_id
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.integrity.chain import lock_chain
from audit.integrity.records import latest_stub, stub_record
from audit.models import ChainEntry, Checkpoint, Event, RetentionStub
from audit.services import record
from audit.verify_export import hash_of, mac_of

if TYPE_CHECKING:
    from apono_portal.users.models import User

BATCH_SIZE = 2000


class PruneRefused(Exception):
    """Nothing was removed; the message says why."""


def prune_log(
    *, actor: "User | None" = None, before: datetime, client_info: ClientInfo = SYSTEM
) -> RetentionStub | None:
    """Remove the oldest checkpoints all of whose events are older than ``before``.

    Returns the stub that stands for them, None if nothing is that old. Verify the log first: what is
    wrong with it cannot be found once it is removed.
    """
    if before > timezone.now():
        raise PruneRefused("Choose a date in the past. This one is in the future.")
    with transaction.atomic():
        if lock_chain() is None:
            raise PruneRefused("A checkpoint is being written. Try again.")
        stub = _write_stub(before)
        if stub:
            metadata = {
                "before": before,
                "events": stub.events,
                "through_checkpoint": stub.through_checkpoint,
            }
            record(
                event=EventName.AUDIT_PRUNE,
                actor=actor,
                client_info=client_info,
                metadata=metadata,
            )
    delete_covered()
    return stub


def _write_stub(before: datetime) -> RetentionStub | None:
    earlier = latest_stub()
    last = _last_removable_checkpoint(before, earlier)
    if last is None:
        return None
    entries = ChainEntry.objects.filter(position__lte=last.last_position)
    if earlier:
        entries = entries.filter(position__gt=earlier.through_position)
    times = Event.objects.filter(pk__in=entries.values("event_id")).aggregate(
        first=Min("at"), last=Max("at")
    )
    stub = RetentionStub(
        through_position=last.last_position,
        through_checkpoint=last.number,
        events=entries.count() + (earlier.events if earlier else 0),
        chain_hash=last.chain_hash,
        checkpoint_hash=last.hash,
        first_at=earlier.first_at if earlier else times["first"],
        last_at=times["last"],
        removed_at=timezone.now(),
        key_id=newest_key_id(),
    )
    stub.hash = hash_of("stub", stub_record(stub))
    stub.mac = mac_of(chain_keys()[stub.key_id], stub.hash)
    stub.save(force_insert=True)
    return stub


def _last_removable_checkpoint(
    before: datetime, earlier: RetentionStub | None
) -> Checkpoint | None:
    newer = Event.objects.filter(at__gte=before).values("pk")
    first_kept = ChainEntry.objects.filter(event_id__in=newer).aggregate(at=Min("position"))["at"]
    checkpoints = Checkpoint.objects.filter(number__gt=earlier.through_checkpoint if earlier else 0)
    if first_kept is not None:
        checkpoints = checkpoints.filter(last_position__lt=first_kept)
    return checkpoints.order_by("-number").first()


def delete_covered() -> int:
    """Delete what the latest stub covers; return the number of events deleted."""
    stub = latest_stub()
    if stub is None:
        return 0
    entries = ChainEntry.objects.filter(position__lte=stub.through_position).order_by("position")
    deleted = 0
    while batch := list(entries[:BATCH_SIZE]):
        with transaction.atomic():
            events = Event.objects.filter(pk__in=[entry.event_id for entry in batch])
            deleted += events.delete()[0]
            entries.filter(position__lte=batch[-1].position).order_by().delete()
    Checkpoint.objects.filter(number__lte=stub.through_checkpoint).delete()
    return deleted
