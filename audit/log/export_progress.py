"""How far an export has come: noted while it is written, asked for by the page that began it."""

import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from audit.models import ExportProgress

NOTED_EVERY_S = 0.5
KEPT = timedelta(days=1)


def token_in(text: str) -> UUID | None:
    """Return the token an address holds, None if it holds none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def followed(
    lines: Iterable[str], *, token: UUID | None, actor_id: int, expected: int | None
) -> Iterator[str]:
    """Yield the lines, and note how many were as they are taken. Without a token nothing is noted."""
    if token is None:
        yield from lines
        return
    now = timezone.now()
    ExportProgress.objects.filter(begun_at__lt=now - KEPT).delete()
    mine = ExportProgress.objects.filter(token=token, actor_id=actor_id)
    begun = ExportProgress(token=token, actor_id=actor_id, expected=expected, begun_at=now)
    ExportProgress.objects.bulk_create([begun], ignore_conflicts=True)
    rows, noted_at = 0, time.monotonic()
    for line in lines:
        yield line
        rows += 1
        if time.monotonic() - noted_at > NOTED_EVERY_S:
            mine.update(rows=rows)
            noted_at = time.monotonic()
    mine.update(rows=rows, finished_at=timezone.now())
