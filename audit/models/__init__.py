"""Models of the audit log, by subject."""

from audit.models.chain import (
    ChainEntry,
    ChainState,
    Checkpoint,
    CheckpointDestination,
    LogVerification,
    RetentionStub,
    SignedCheckpoint,
)
from audit.models.delivery import Delivery
from audit.models.event import Event
from audit.models.exports import ExportProgress
from audit.models.stream import StreamDestination

__all__ = [
    "ChainEntry",
    "ChainState",
    "Checkpoint",
    "CheckpointDestination",
    "Delivery",
    "Event",
    "ExportProgress",
    "LogVerification",
    "RetentionStub",
    "SignedCheckpoint",
    "StreamDestination",
]
