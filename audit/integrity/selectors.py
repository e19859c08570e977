"""The state of the chain, for pages."""

from dataclasses import dataclass

from audit.events import EventName
from audit.integrity.chain import chain_state
from audit.integrity.records import latest_checkpoint
from audit.integrity.signed_checkpoints import latest_signed_checkpoint
from audit.models import (
    ChainEntry,
    ChainState,
    Checkpoint,
    CheckpointDestination,
    Event,
    LogVerification,
    SignedCheckpoint,
)

VERIFICATIONS_SHOWN = 10


@dataclass(frozen=True)
class ChainStatus:
    """The last checkpoints, the last event covered, where they went, the last verification's result."""

    checkpoint: Checkpoint | None
    through_event: int | None
    state: ChainState
    signed: SignedCheckpoint | None
    destinations: list[CheckpointDestination]


def chain_status() -> ChainStatus:
    checkpoint = latest_checkpoint()
    last_position = checkpoint.last_position if checkpoint else 0
    last_entry = ChainEntry.objects.filter(position=last_position).first()
    return ChainStatus(
        checkpoint,
        last_entry.event_id if last_entry else None,
        chain_state(),
        latest_signed_checkpoint(),
        list(CheckpointDestination.objects.all()),
    )


def recent_verifications() -> list[Event]:
    """Return the latest verifications, from the page and from the command line."""
    events = Event.objects.filter(event=EventName.AUDIT_VERIFY).order_by("-pk")
    return list(events[:VERIFICATIONS_SHOWN])


def latest_verification() -> LogVerification | None:
    return LogVerification.objects.order_by("-pk").first()


def chain_entry_of(event: Event) -> ChainEntry | None:
    return ChainEntry.objects.filter(event_id=event.pk).first()
