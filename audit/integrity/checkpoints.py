"""Sealing: the worker gives what was written a place in the chain. Writers never wait for it.

On PostgreSQL transactions commit in another order than their events are numbered. So a place in
the chain is a number of its own, given here, and an event that turns up late is sealed late. That
no event up to ``settled_id`` can still turn up is known from the table's locks: an INSERT holds
ROW EXCLUSIVE from before its row is numbered until its transaction ends (PostgreSQL manual, 13.3).
"""

import logging
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Max

from apono_portal.core.crypto.keyring import chain_keys, newest_key_id
from audit.integrity.chain import (
    chain_state,
    event_record,
    latest_seal,
    latest_stub,
    seal_record,
    unsealed,
)
from audit.models import ChainEntry, ChainState, Checkpoint, Event
from audit.verify_export import FIELDS, GENESIS, Record, digest_of, hash_of, link_of, mac_of

BATCH = 200
MOST_BATCHES = 50  # of one call, so that it stays short

WRITERS_SQL = """
    SELECT DISTINCT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'audit_event'::regclass
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    AND granted AND pid IS DISTINCT FROM pg_backend_pid()
"""

logger = logging.getLogger(__name__)


def write_checkpoints(now: datetime) -> int:
    """Checkpoint what is not sealed yet and return how many events were. One sealer works at a time."""
    done = 0
    for _ in range(MOST_BATCHES):
        sealed = _seal_batch(now)
        done += sealed
        if sealed < BATCH:
            break
    return done


def lock_chain() -> ChainState | None:
    """Lock the chain; None while somebody else holds it. Call within a transaction."""
    ChainState.objects.bulk_create([ChainState(pk=ChainState.ONLY)], ignore_conflicts=True)
    states = ChainState.objects.filter(pk=ChainState.ONLY)
    if connection.features.has_select_for_update_skip_locked:
        states = states.select_for_update(skip_locked=True)
    return states.first()


def _seal_batch(now: datetime) -> int:
    if not unsealed().filter(pk__gt=chain_state().settled_id).exists():
        return 0
    with transaction.atomic():
        state = lock_chain()
        if state is None:
            return 0
        settled = _settled_id(state)
        waiting = unsealed().filter(pk__gt=state.settled_id).values(*FIELDS["event"])
        events = [event_record(values) for values in waiting[:BATCH]]
        if not events:
            return 0
        if len(events) == BATCH:
            settled = min(settled, events[-1]["id"])
        state.settled_id = max(settled, state.settled_id)
        state.save()
        seal = _write_seal(events, state.settled_id, now)
    logger.info(
        "Sealed through position %s: seal %s:%s", seal.last_position, seal.number, seal.hash
    )
    return len(events)


def _settled_id(state: ChainState) -> int:
    """Return up to which number every event is there for the next statement to see, or never will be.

    First the newest number is read, then who is writing. Whoever is to bring an older number had
    it, and the lock, before that; so once none of those is left, all is there.
    """
    newest: int = Event.objects.aggregate(newest=Max("pk"))["newest"] or 0
    writers = _writers()
    if not writers:
        return newest
    if set(state.mark_writers).isdisjoint(writers):
        settled = state.mark_id
        state.mark_id, state.mark_writers = newest, sorted(writers)
        return settled
    return 0


def _writers() -> set[str]:
    """Return the transactions that may bring further events. SQLite has one writer: this one."""
    if connection.vendor != "postgresql":
        return set()
    with connection.cursor() as cursor:
        cursor.execute(WRITERS_SQL)
        return {row[0] for row in cursor.fetchall()}


def _write_seal(events: list[Record], settled_id: int, now: datetime) -> Checkpoint:
    number, position, link, previous = _end_of_chain()
    first, places = position + 1, []
    for event in events:
        position, digest = position + 1, digest_of(event)
        link = link_of(link, position, digest)
        places.append(ChainEntry(position=position, event_id=event["id"], digest=digest, link=link))
    ChainEntry.objects.bulk_create(places)
    seal = Checkpoint(
        number=number + 1,
        first_position=first,
        last_position=position,
        settled_id=settled_id,
        sealed_at=now,
        link=link,
        previous=previous,
        key_id=newest_key_id(),
    )
    seal.hash = hash_of("seal", seal_record(seal))
    seal.mac = mac_of(chain_keys()[seal.key_id], seal.hash)
    seal.save(force_insert=True)
    return seal


def _end_of_chain() -> tuple[int, int, str, str]:
    """Return number of the last seal, last position, its link, and that seal's hash."""
    if seal := latest_seal():
        return seal.number, seal.last_position, seal.link, seal.hash
    if stub := latest_stub():
        return stub.through_seal, stub.through_position, stub.link, stub.seal_hash
    return 0, 0, GENESIS, GENESIS
