"""Progress of an export: saved while it is written, read by the page that started it."""

import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from audit.models import ExportProgress

SAVE_INTERVAL_SECONDS = 0.5
LIFETIME = timedelta(days=1)


def parse_token(text: str) -> UUID | None:
    """Return the token, None if the text is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def track_progress(
    lines: Iterable[str], *, token: UUID | None, actor_id: int, expected: int | None
) -> Iterator[str]:
    """Yield the lines, saving how many were read. Without a token nothing is saved."""
    if token is None:
        yield from lines
        return
    now = timezone.now()
    ExportProgress.objects.filter(started_at__lt=now - LIFETIME).delete()
    progress = ExportProgress(token=token, actor_id=actor_id, expected=expected, started_at=now)
    ExportProgress.objects.bulk_create([progress], ignore_conflicts=True)
    own = ExportProgress.objects.filter(token=token, actor_id=actor_id)
    rows, saved_at = 0, time.monotonic()
    for line in lines:
        yield line
        rows += 1
        if time.monotonic() - saved_at > SAVE_INTERVAL_SECONDS:
            own.update(rows=rows)
            saved_at = time.monotonic()
    own.update(rows=rows, finished_at=timezone.now())
