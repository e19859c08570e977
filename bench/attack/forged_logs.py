"""Rewrite the audit log as somebody who has all keys but the workers', and verify what came of it.

All in one transaction, which is rolled back: the next forgery starts from the genuine log.
"""

from collections.abc import Callable

from django.db import connection, transaction
from django.utils import timezone

from audit.integrity import triggers
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.records import log_records, stub_record
from audit.integrity.retention import delete_covered
from audit.integrity.verification import new_verifier
from audit.models import ChainEntry, ChainState, Checkpoint, Event, RetentionStub, SignedCheckpoint
from audit.verify_export.formats import GENESIS, hash_of
from audit.verify_export.signed_notes import (
    CheckpointNote,
    SigningKey,
    checkpoint_text,
    make_signing_key,
    read_checkpoints,
    stub_text,
)


def forgery_names() -> list[str]:
    return list(FORGERIES)


def verify_forged(forgery: str, saved: str) -> list[str]:
    """Return what a verification finds of a forgery ("" for none), given the checkpoints saved elsewhere."""
    checkpoints = read_checkpoints(saved)
    with transaction.atomic():
        ChainState.objects.select_for_update().get()  # no worker is writing the chain
        if forgery:
            triggers.run(connection, triggers.remove_sql(connection.vendor))
            FORGERIES[forgery](checkpoints[-1])
        report = new_verifier(saved=checkpoints).run(log_records())
        transaction.set_rollback(True)
    return [str(finding) for finding in report.findings]


def _rebuild_chain() -> None:
    """Chain all events anew, with the portal's own code."""
    for model in (ChainEntry, Checkpoint, ChainState):
        model.objects.all().delete()
    while write_checkpoints(timezone.now()):
        pass


def _edit_first_event() -> None:
    Event.objects.filter(pk=Event.objects.earliest("pk").pk).update(actor_label="somebody else")


def _edit_and_rebuild(last: CheckpointNote) -> None:
    _edit_first_event()
    _rebuild_chain()


def _edit_and_drop_signatures(last: CheckpointNote) -> None:
    SignedCheckpoint.objects.all().delete()
    _edit_and_rebuild(last)


def _edit_and_sign_with_own_key(last: CheckpointNote) -> None:
    """The key has the name of the workers' key."""
    _edit_and_drop_signatures(last)
    end, key = ChainEntry.objects.latest("position"), _own_key(last)
    note = key.sign(checkpoint_text(key.name, end.position, end.chain_hash))
    SignedCheckpoint.objects.create(size=end.position, created_at=timezone.now(), note=note)


def _remove_the_end(last: CheckpointNote) -> None:
    entries = ChainEntry.objects.filter(position__gt=last.size // 2)
    Event.objects.filter(pk__in=entries.values("event_id")).delete()
    SignedCheckpoint.objects.all().delete()
    _rebuild_chain()


def _remove_one_event(last: CheckpointNote) -> None:
    Event.objects.filter(pk=Event.objects.earliest("pk").pk).delete()
    SignedCheckpoint.objects.all().delete()
    _rebuild_chain()


def _prune_behind_stub(last: CheckpointNote, *, sign: bool) -> None:
    """Remove the beginning as retention does, with a stub that no worker signed."""
    through = Checkpoint.objects.filter(last_position__lte=last.size).latest("number")
    now = timezone.now()
    stub = RetentionStub(
        first_position=1, through_position=through.last_position, through_checkpoint=through.number,
        events=through.last_position, previous_chain_hash=GENESIS, chain_hash=through.chain_hash,
        checkpoint_hash=through.hash, first_at=now, last_at=now, removed_at=now,
    )  # fmt: skip
    stub.hash = hash_of("stub", stub_record(stub))
    key = _own_key(last)
    text = stub_text(key.name, {**stub_record(stub), "hash": stub.hash})
    stub.note = key.sign(text) if sign else text
    stub.save(force_insert=True)
    delete_covered()


def _prune_unsigned(last: CheckpointNote) -> None:
    _prune_behind_stub(last, sign=False)


def _prune_with_own_key(last: CheckpointNote) -> None:
    _prune_behind_stub(last, sign=True)


def _own_key(last: CheckpointNote) -> SigningKey:
    return make_signing_key(last.origin.removesuffix("/audit-log"))


FORGERIES: dict[str, Callable[[CheckpointNote], None]] = {
    "an event edited, the chain rebuilt": _edit_and_rebuild,
    "an event edited, the chain rebuilt, the signed checkpoints removed": _edit_and_drop_signatures,
    "an event edited, the chain rebuilt and signed with a key of one's own": _edit_and_sign_with_own_key,
    "one event removed, the chain rebuilt": _remove_one_event,
    "the second half removed, the chain rebuilt": _remove_the_end,
    "the beginning pruned behind an unsigned stub": _prune_unsigned,
    "the beginning pruned behind a stub signed with a key of one's own": _prune_with_own_key,
}
