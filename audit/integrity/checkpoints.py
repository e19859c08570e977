"""Checkpoints: the worker appends new events to the chain and signs its end. Writers never wait."""

import logging
from datetime import datetime

from django.db import transaction

from apono_portal.core.crypto.keyring import chain_keys, newest_key_id
from audit.integrity.chain import (
    append_to_chain,
    chain_end,
    chain_state,
    find_settled_id,
    lock_chain,
)
from audit.integrity.records import checkpoint_record, event_record, unchained_events
from audit.models import Checkpoint
from audit.verify_export.formats import FIELDS, Record, hash_of, mac_of

BATCH_SIZE = 200
MAX_BATCHES = 50  # per call, so that it stays short

logger = logging.getLogger(__name__)


def write_checkpoints(now: datetime) -> int:
    """Put new events into the chain under signed checkpoints; return how many.

    One process works at a time; the others return 0.
    """
    total = 0
    for _ in range(MAX_BATCHES):
        count = _write_batch(now)
        total += count
        if count < BATCH_SIZE:
            break
    return total


def _write_batch(now: datetime) -> int:
    if not unchained_events().filter(pk__gt=chain_state().settled_id).exists():
        return 0
    with transaction.atomic():
        state = lock_chain()
        if state is None:
            return 0
        settled_id = find_settled_id(state)
        new_events = unchained_events().filter(pk__gt=state.settled_id).values(*FIELDS["event"])
        events = [event_record(values) for values in new_events[:BATCH_SIZE]]
        if not events:
            return 0
        if len(events) == BATCH_SIZE:
            settled_id = min(settled_id, events[-1]["id"])
        state.settled_id = max(settled_id, state.settled_id)
        state.save()
        checkpoint = _write_checkpoint(events, state.settled_id, now)
    logger.info(
        "Checkpoint %s:%s through position %s",
        checkpoint.number,
        checkpoint.hash,
        checkpoint.last_position,
    )
    return len(events)


def _write_checkpoint(events: list[Record], settled_id: int, now: datetime) -> Checkpoint:
    end = chain_end()
    entries = append_to_chain(events, end)
    checkpoint = Checkpoint(
        number=end.checkpoint + 1,
        first_position=entries[0].position,
        last_position=entries[-1].position,
        settled_id=settled_id,
        created_at=now,
        chain_hash=entries[-1].chain_hash,
        previous_hash=end.checkpoint_hash,
        key_id=newest_key_id(),
    )
    checkpoint.hash = hash_of("checkpoint", checkpoint_record(checkpoint))
    checkpoint.mac = mac_of(chain_keys()[checkpoint.key_id], checkpoint.hash)
    checkpoint.save(force_insert=True)
    return checkpoint
