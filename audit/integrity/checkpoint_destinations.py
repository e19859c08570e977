"""Signed checkpoints leave the machine: into a file, to a webhook, to a syslog server.

Each destination has a cursor in the database, so that every checkpoint gets there at least once, in
order, whichever worker sends it. A file belongs to one machine; each has a cursor of its own.
"""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from apono_portal.core.web import syslog
from audit.integrity.signed_checkpoints import latest_signed_checkpoint
from audit.models import CheckpointDestination, SignedCheckpoint
from audit.outbox import transports
from audit.outbox.cursors import claim, progress_of
from audit.outbox.files import append_whole
from audit.outbox.transports import post

BATCH_SIZE = 100
STALE_AFTER = timedelta(days=30)


@dataclass(frozen=True)
class Destination:
    """``send`` raises `DeliveryFailed`. The name is shown and holds no secret."""

    name: str
    send: Callable[[SignedCheckpoint], None]


def destinations() -> list[Destination]:
    """Return the destinations that the settings name."""
    configured = []
    if file := settings.AUDIT_CHECKPOINT_FILE:
        configured.append(Destination(f"File {file} on {socket.gethostname()}", append_to_file))
    if url := settings.AUDIT_CHECKPOINT_WEBHOOK:
        configured.append(Destination(f"Webhook {urlsplit(url).hostname}", post_to_webhook))
    if server := settings.AUDIT_CHECKPOINT_SYSLOG:
        configured.append(Destination(f"Syslog {server}", send_to_syslog))
    return configured


def send_checkpoints(now: datetime) -> int:
    """Send what each destination has not got yet; return how many were sent. Workers may run it at once."""
    latest = latest_signed_checkpoint()
    if latest is None:
        return 0
    sent = sum(_send_to(destination, latest, now) for destination in destinations())
    if sent:  # destinations that no worker has served for long are no longer configured
        CheckpointDestination.objects.filter(next_attempt_at__lt=now - STALE_AFTER).delete()
    return sent


def _send_to(destination: Destination, latest: SignedCheckpoint, now: datetime) -> int:
    cursor = claim(
        CheckpointDestination, destination.name, start=latest.size - 1, end=latest.size, now=now
    )
    if cursor is None:
        return 0
    with progress_of(cursor, now) as progress:
        waiting = SignedCheckpoint.objects.filter(size__gt=cursor.position).order_by("size")
        for checkpoint in waiting[:BATCH_SIZE]:
            destination.send(checkpoint)
            progress.accept(checkpoint.size, 1)
            if not progress.has_time:
                break
    return progress.sent


def append_to_file(checkpoint: SignedCheckpoint) -> None:
    append_whole(Path(settings.AUDIT_CHECKPOINT_FILE), f"{checkpoint.note}\n".encode())


def post_to_webhook(checkpoint: SignedCheckpoint) -> None:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    body = checkpoint.note.encode()
    post(settings.AUDIT_CHECKPOINT_WEBHOOK, body, headers, receiver="webhook")


def send_to_syslog(checkpoint: SignedCheckpoint) -> None:
    """Send a checkpoint as a JSON string, which is one line for every syslog server."""
    text = json.dumps(checkpoint.note, ensure_ascii=False)
    message = syslog.Message(text, checkpoint.created_at, "checkpoint")
    transports.send_to_syslog(settings.AUDIT_CHECKPOINT_SYSLOG, [message])
