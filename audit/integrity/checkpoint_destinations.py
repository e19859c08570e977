"""Signed checkpoints leave the machine: into a file, to a webhook, to a syslog server.

Each destination has a cursor in the database, so that every checkpoint gets there at least once, in
order, whichever worker sends it. A file belongs to one machine; each has a cursor of its own.
"""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.utils import timezone

from apono_portal.core.web import http_client, syslog
from apono_portal.core.web.ssrf_guard import AddressRefused
from audit.integrity.signed_checkpoints import latest_signed_checkpoint
from audit.models import CheckpointDestination, SignedCheckpoint
from audit.outbox.deliveries import LEASE, MAX_RETRY_DELAY, MIN_RETRY_DELAY, DeliveryFailed
from audit.outbox.files import append_whole

BATCH_SIZE = 100
STALE_AFTER = timedelta(days=30)
BUDGET_SECONDS = 5.0  # per call, so that a worker can stop
log = structlog.get_logger(__name__)


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
    sent, give_up_at = 0, time.monotonic() + BUDGET_SECONDS
    for destination in destinations():
        if (row := _claim(destination, latest, now)) is not None:
            sent += _send_new(destination, row, now, give_up_at)
    if sent:  # destinations that no worker has served for long are no longer configured
        CheckpointDestination.objects.filter(next_attempt_at__lt=now - STALE_AFTER).delete()
    return sent


def _claim(
    destination: Destination, latest: SignedCheckpoint, now: datetime
) -> CheckpointDestination | None:
    """Claim a destination that lacks the latest checkpoint, by moving its next attempt."""
    row, _ = CheckpointDestination.objects.get_or_create(
        name=destination.name, defaults={"size": latest.size - 1, "next_attempt_at": now}
    )
    waits = timedelta(0) < row.next_attempt_at - now <= MAX_RETRY_DELAY
    if waits or row.size >= latest.size:
        return None
    unclaimed = CheckpointDestination.objects.filter(
        name=row.name, size=row.size, next_attempt_at=row.next_attempt_at
    )
    return row if unclaimed.update(next_attempt_at=timezone.now() + LEASE) else None


def _send_new(
    destination: Destination, row: CheckpointDestination, now: datetime, give_up_at: float
) -> int:
    sent, rows = 0, CheckpointDestination.objects.filter(name=row.name)
    waiting = SignedCheckpoint.objects.filter(size__gt=row.size).order_by("size")
    try:
        for checkpoint in waiting[:BATCH_SIZE]:
            destination.send(checkpoint)
            rows.update(size=checkpoint.size, sent_at=timezone.now(), attempts=0, last_error="")
            sent += 1
            if time.monotonic() > give_up_at:
                break
    except DeliveryFailed as failure:
        log.warning("checkpoint_not_sent", destination=row.name, reason=failure.sentence)
        attempts = 1 if sent else row.attempts + 1
        delay = min(MIN_RETRY_DELAY * 2 ** min(attempts - 1, 10), MAX_RETRY_DELAY)
        rows.update(
            attempts=attempts, last_error=failure.sentence[:200], next_attempt_at=now + delay
        )
        return sent
    rows.update(next_attempt_at=now)
    return sent


def append_to_file(checkpoint: SignedCheckpoint) -> None:
    append_whole(Path(settings.AUDIT_CHECKPOINT_FILE), f"{checkpoint.note}\n".encode())


def post_to_webhook(checkpoint: SignedCheckpoint) -> None:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    try:
        body = checkpoint.note.encode()
        status = http_client.post(settings.AUDIT_CHECKPOINT_WEBHOOK, body, headers).status
    except (AddressRefused, http_client.RequestFailed) as failed:
        raise DeliveryFailed(failed.sentence) from None
    if not 200 <= status < 300:
        raise DeliveryFailed(f"The webhook answered {status}.")


def send_to_syslog(checkpoint: SignedCheckpoint) -> None:
    """Send a checkpoint as a JSON string, which is one line for every syslog server."""
    message = json.dumps(checkpoint.note, ensure_ascii=False)
    try:
        entry = syslog.Message(message, checkpoint.created_at, "checkpoint")
        syslog.send_messages(settings.AUDIT_CHECKPOINT_SYSLOG, [entry], app="apono-portal")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DeliveryFailed(f"The syslog server did not accept it: {reason}.") from None
