"""Writing the chain: each event gets a position after its transaction has committed.

PostgreSQL gives out event ids before the commit, so ids do not follow the order of commits. Positions
in the chain do: an event that commits late is appended late. The table's locks show up to which id no
further event can appear: an INSERT holds ROW EXCLUSIVE from before its row gets its id until its
transaction ends (PostgreSQL manual, 13.3).
"""

from dataclasses import dataclass

from django.db import connection
from django.db.models import Max

from audit.integrity.records import latest_checkpoint, latest_stub
from audit.models import ChainEntry, ChainState, Event
from audit.verify_export.formats import GENESIS, Record, chain_hash_of, digest_of

WRITERS_SQL = """
    SELECT DISTINCT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'audit_event'::regclass
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    AND granted AND pid IS DISTINCT FROM pg_backend_pid()
"""


@dataclass(frozen=True)
class ChainEnd:
    """The last checkpoint and the last position, with their hashes."""

    checkpoint: int = 0
    position: int = 0
    chain_hash: str = GENESIS
    checkpoint_hash: str = GENESIS


def chain_end() -> ChainEnd:
    if last := latest_checkpoint():
        return ChainEnd(last.number, last.last_position, last.chain_hash, last.hash)
    if stub := latest_stub():
        return ChainEnd(
            stub.through_checkpoint, stub.through_position, stub.chain_hash, stub.checkpoint_hash
        )
    return ChainEnd()


def append_to_chain(events: list[Record], end: ChainEnd) -> list[ChainEntry]:
    """Append events to the chain. Call with the chain locked."""
    position, chain_hash, entries = end.position, end.chain_hash, []
    for event in events:
        position, digest = position + 1, digest_of(event)
        chain_hash = chain_hash_of(chain_hash, position, digest)
        entries.append(
            ChainEntry(
                position=position, event_id=event["id"], digest=digest, chain_hash=chain_hash
            )
        )
    return ChainEntry.objects.bulk_create(entries)


def chain_state() -> ChainState:
    return ChainState.objects.filter(pk=ChainState.SINGLETON_PK).first() or ChainState()


def lock_chain() -> ChainState | None:
    """Lock the chain; None while another process holds it. Call in a transaction."""
    ChainState.objects.bulk_create([ChainState(pk=ChainState.SINGLETON_PK)], ignore_conflicts=True)
    states = ChainState.objects.filter(pk=ChainState.SINGLETON_PK)
    if connection.features.has_select_for_update_skip_locked:
        states = states.select_for_update(skip_locked=True)
    return states.first()


def find_settled_id(state: ChainState) -> int:
    """Return the id up to which every event is visible to the next statement, or never will be.

    The newest id is read first, then the writers. Whoever may still commit an older id had it, and
    the lock, before that. Once none of those writers is left, everything up to that id has settled.
    """
    newest: int = Event.objects.aggregate(newest=Max("pk"))["newest"] or 0
    writers = _current_writers()
    if not writers:
        return newest
    if set(state.observed_writers).isdisjoint(writers):
        settled_id = state.observed_id
        state.observed_id, state.observed_writers = newest, sorted(writers)
        return settled_id
    return 0


def _current_writers() -> set[str]:
    """Return the transactions that may commit further events. SQLite's only writer is this one."""
    if connection.vendor != "postgresql":
        return set()
    with connection.cursor() as cursor:
        cursor.execute(WRITERS_SQL)
        return {row[0] for row in cursor.fetchall()}
