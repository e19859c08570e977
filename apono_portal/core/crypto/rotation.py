"""Sealing secrets anew with the newest key of the keyring, while the portal runs.

Rows are walked by primary key in batches. Each batch is one short transaction with its rows locked,
so a verification waits for milliseconds; on SQLite, where each writer waits for all others, the
command rests after each batch as long as it took. A run that is cut short is begun again: rows that
are done are only looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import models, transaction

from apono_portal.core.crypto import encryption
from apono_portal.core.crypto.keyring import newest_key_id

BATCH = 100


@dataclass(frozen=True, slots=True)
class Sealed:
    """Where secrets of one purpose are kept: rows, their field, and whom each is sealed for."""

    rows: models.QuerySet[Any]
    field: str
    purpose: str
    owner: str


@dataclass(slots=True)
class Progress:
    """How far a run is. ``broken`` holds the primary keys of rows that do not open."""

    seen: int = 0
    resealed: int = 0
    broken: list[Any] = field(default_factory=list)


def reseal(sealed: Sealed, *, batch: int = BATCH) -> Iterator[Progress]:
    """Reseal what is not sealed with the newest key; yield the progress after each batch."""
    progress, last = Progress(), None
    while True:
        with transaction.atomic():
            rows = _next_rows(sealed, last, batch)
            changed = [row for row in rows if _reseal_row(sealed, row, progress)]
            sealed.rows.model._base_manager.bulk_update(changed, [sealed.field])
        if not rows:
            return
        last = rows[-1].pk
        progress.seen += len(rows)
        progress.resealed += len(changed)
        yield progress


def _next_rows(sealed: Sealed, last: Any, batch: int) -> list[Any]:
    rows = sealed.rows.select_for_update(of=("self",)).order_by("pk")
    return list(rows.filter(pk__gt=last)[:batch] if last is not None else rows[:batch])


def _reseal_row(sealed: Sealed, row: Any, progress: Progress) -> bool:
    text, owner = getattr(row, sealed.field), getattr(row, sealed.owner)
    try:
        if encryption.key_id_of(text) == newest_key_id():
            return False
        secret = encryption.decrypt(text, purpose=sealed.purpose, owner=owner)
    except encryption.DecryptionFailed:
        progress.broken.append(row.pk)
        return False
    setattr(row, sealed.field, encryption.seal(secret, purpose=sealed.purpose, owner=owner))
    return True
