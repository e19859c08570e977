"""Retention: old events are removed, a signed stub takes their place, and the chain still verifies.

The stub is written first, in one transaction with its event, and signed with the workers' key: a
verification accepts a missing beginning only with it. The triggers allow deleting what it
covers and nothing else (audit/integrity/triggers.py). That is then deleted in short transactions; an
interrupted run is completed by the next.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Max, Min
from django.utils import timezone

from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.integrity.chain import lock_chain
from audit.integrity.records import latest_stub, stub_record
from audit.integrity.signing_keys import signing_key
from audit.models import ChainEntry, Checkpoint, Event, RetentionStub, SignedCheckpoint
from audit.services import record
from audit.verify_export.formats import GENESIS, hash_of
from audit.verify_export.signed_notes import SigningKey, stub_text

if TYPE_CHECKING:
    from apono_portal.users.models import User

BATCH_SIZE = 2000


class PruneRefused(Exception):
    """Nothing was removed; the message says why."""


def prune_log(
    *, actor: "User | None" = None, before: datetime, client_info: ClientInfo = SYSTEM
) -> RetentionStub | None:
    """Remove the oldest checkpoints all of whose events are older than ``before``.

    Returns the stub that stands for them, None if nothing is that old. Needs the workers' key. Verify the
    log first: what is wrong with it cannot be found once it is removed.
    """
    key = signing_key()
    if key is None:
        raise PruneRefused(
            "The stub that remains must be signed. Run this where workers run, with AUDIT_SIGNING_KEY "
            "or AUDIT_SIGNING_KEY_FILE set."
        )
    if before > timezone.now():
        raise PruneRefused("Choose a date in the past. This one is in the future.")
    with transaction.atomic():
        if lock_chain() is None:
            raise PruneRefused("A checkpoint is being written. Try again.")
        stub = _write_stub(before, key)
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


def _write_stub(before: datetime, key: SigningKey) -> RetentionStub | None:
    earlier = latest_stub()
    last = _last_removable_checkpoint(before, earlier)
    if last is None:
        return None
    after = earlier.through_position if earlier else 0
    entries = ChainEntry.objects.filter(position__gt=after, position__lte=last.last_position)
    times = Event.objects.filter(pk__in=entries.values("event_id")).aggregate(
        first=Min("at"), last=Max("at")
    )
    stub = RetentionStub(
        first_position=after + 1,
        through_position=last.last_position,
        through_checkpoint=last.number,
        events=last.last_position - after,
        previous_chain_hash=earlier.chain_hash if earlier else GENESIS,
        chain_hash=last.chain_hash,
        checkpoint_hash=last.hash,
        first_at=times["first"],
        last_at=times["last"],
        removed_at=timezone.now(),
    )
    stub.hash = hash_of("stub", stub_record(stub))
    stub.note = key.sign(stub_text(key.name, {**stub_record(stub), "hash": stub.hash}))
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
    SignedCheckpoint.objects.filter(size__lte=stub.through_position).delete()
    return deleted
