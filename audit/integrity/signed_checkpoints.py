"""Signed checkpoints: a worker signs the end of the chain regularly, with a key that only workers have.

It never signs a chain that does not continue the one it signed before. Where nothing was signed yet, the
chain must lead from its beginning, or from a signed stub. So somebody who rewrites the log with the web's
keys and the database is noticed by the worker, and by whoever kept a checkpoint.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from django.conf import settings

from audit.events import EventName
from audit.integrity.chain import chain_end
from audit.integrity.records import CHUNK_SIZE, latest_stub, stub_record
from audit.integrity.signing_keys import public_keys, signing_key
from audit.models import ChainEntry, RetentionStub, SignedCheckpoint
from audit.services import record
from audit.verify_export.formats import GENESIS, chain_hash_of, count_of
from audit.verify_export.signed_notes import (
    InvalidNote,
    checkpoint_text,
    read_checkpoints,
    require_signature,
    stub_text,
)

RETRY_PERIOD = timedelta(minutes=1)
log = structlog.get_logger(__name__)


class Head(NamedTuple):
    """A number of events, and the chain hash of the last."""

    size: int = 0
    chain_hash: str = GENESIS


class ChainRewritten(Exception):
    """The chain does not continue what was signed. The message says how."""


class CheckpointSigner:
    """A periodic task of a worker, which remembers what it signed last."""

    def __init__(self) -> None:
        self._signed: Head | None = None
        self._refused_at: datetime | None = None

    def __call__(self, now: datetime) -> int:
        """Sign the end of the chain if it is time. Returns how many checkpoints were signed."""
        if signing_key() is None:
            return 0
        if self._refused_at and timedelta(0) <= now - self._refused_at < RETRY_PERIOD:
            return 0
        latest, chain = latest_signed_checkpoint(), chain_end()
        end = Head(chain.position, chain.chain_hash)
        if not _is_due(latest, end, now):
            return 0
        try:
            if latest and latest.size > end.size:
                raise ChainRewritten(
                    f"The log has {count_of(end.size, 'event')}, fewer than were signed."
                )
            _require_continuation(self._signed or _signed_head(latest) or Head(), end)
        except ChainRewritten as rewritten:
            self._refuse(str(rewritten), now)
            return 0
        self._signed, self._refused_at = end, None
        return sign_checkpoint(end, now)

    def _refuse(self, sentence: str, now: datetime) -> None:
        """Record the refusal once, and try again now and then."""
        log.critical("audit_log_rewritten", reason=sentence)
        if self._refused_at is None:
            metadata = {"reason": sentence, "where": "signed checkpoint"}
            record(event=EventName.AUDIT_DETECT_TAMPERING, actor=None, metadata=metadata)
        self._refused_at = now


def sign_checkpoint(end: Head, now: datetime) -> int:
    """Sign the end of the chain, unless another worker just has."""
    key = signing_key()
    if key is None:
        return 0
    note = key.sign(checkpoint_text(key.name, end.size, end.chain_hash))
    SignedCheckpoint.objects.bulk_create(
        [SignedCheckpoint(size=end.size, created_at=now, note=note)], ignore_conflicts=True
    )
    log.info("checkpoint_signed", size=end.size, note=note)
    return 1


def latest_signed_checkpoint() -> SignedCheckpoint | None:
    return SignedCheckpoint.objects.order_by("-size").first()


def _is_due(latest: SignedCheckpoint | None, end: Head, now: datetime) -> bool:
    if latest is None:
        return end.size > 0
    if latest.size >= end.size:
        return latest.size > end.size  # to be refused
    is_fresh = timedelta(0) <= now - latest.created_at < settings.AUDIT_CHECKPOINT_INTERVAL
    return not is_fresh or end.size - latest.size >= settings.AUDIT_CHECKPOINT_EVENTS


def _signed_head(latest: SignedCheckpoint | None) -> Head | None:
    """Return what the newest signed checkpoint in the database says, if a worker signed it."""
    if latest is None:
        return None
    try:
        [checkpoint] = read_checkpoints(latest.note)
        key = require_signature(checkpoint.note, public_keys())
    except ValueError as error:
        raise ChainRewritten(f"{latest} is not valid: {error}.") from None
    if (checkpoint.origin, checkpoint.size) != (key.name, latest.size):
        raise ChainRewritten(f"{latest} has the signature of another checkpoint.")
    return Head(checkpoint.size, checkpoint.chain_hash)


def _require_continuation(signed: Head, end: Head) -> None:
    """Raise `ChainRewritten` unless the chain has the signed hash at its size and leads to its end."""
    stub = latest_stub()
    if stub and stub.through_position > signed.size:
        _require_signed_stub(stub)
        signed = Head(stub.through_position, stub.chain_hash)
    if _head_at(signed.size) != signed:
        raise ChainRewritten(f"The first {signed.size} events are not those that were signed.")
    position, chain_hash = signed
    entries = ChainEntry.objects.filter(position__lte=end.size).order_by("position")
    rows = entries.values_list("position", "digest", "chain_hash")
    while chunk := list(rows.filter(position__gt=position)[:CHUNK_SIZE]):
        for entry_position, digest, entry_hash in chunk:
            position += 1
            chain_hash = chain_hash_of(chain_hash, position, digest)
            if (entry_position, entry_hash) != (position, chain_hash):
                raise ChainRewritten(f"The chain is broken at position {position}.")
    if (position, chain_hash) != end:
        raise ChainRewritten(f"The chain from position {signed.size} does not lead to its end.")


def _head_at(size: int) -> Head:
    """Return the head that the chain had with so many events, as the database has it now."""
    if entry := ChainEntry.objects.filter(position=size).first():
        return Head(size, entry.chain_hash)
    if stub := RetentionStub.objects.filter(through_position=size).first():
        return Head(size, stub.chain_hash)
    return Head()


def _require_signed_stub(stub: RetentionStub) -> None:
    try:
        key = require_signature(stub.note, public_keys())
    except InvalidNote as error:
        raise ChainRewritten(f"A retention stub is not valid: {error}.") from None
    fields = {**stub_record(stub), "hash": stub.hash}
    if stub.note.rpartition("\n\n")[0] + "\n" != stub_text(key.name, fields):
        raise ChainRewritten("A retention stub has the signature of another stub.")
