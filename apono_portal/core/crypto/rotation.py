"""Key rotation: encrypt secrets again with the newest key while the portal runs.

Rows are read by primary key in batches. Each batch is one short transaction with its rows locked, so a
verification waits for milliseconds. SQLite has a single writer, so the command pauses after each batch
for as long as the batch took. An interrupted run can be started again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import models, transaction

from apono_portal.core.crypto import encryption
from apono_portal.core.crypto.authenticity import AuthenticatedRow
from apono_portal.core.crypto.keyring import newest_key_id

BATCH_SIZE = 100


@dataclass(frozen=True, slots=True)
class EncryptedField:
    """Rows with a secret for one purpose: the field that holds it and the field that names its owner."""

    rows: models.QuerySet[models.Model]
    field: str
    purpose: str
    owner: str

    def rotate(self, row: models.Model) -> bool:
        """Encrypt with the newest key; False if it is already. Raises `DecryptionFailed`."""
        text, owner = getattr(row, self.field), getattr(row, self.owner)
        if encryption.key_id_of(text) == newest_key_id():
            return False
        secret = encryption.decrypt(text, purpose=self.purpose, owner=owner)
        setattr(row, self.field, encryption.encrypt(secret, purpose=self.purpose, owner=owner))
        return True


@dataclass(frozen=True, slots=True)
class SignedRows:
    """Rows with a MAC, which a newer key signs again if it is valid under an older one."""

    rows: models.QuerySet[AuthenticatedRow]
    field: str = "mac"

    def rotate(self, row: AuthenticatedRow) -> bool:
        if row.mac.startswith(f"{newest_key_id()}."):
            return False
        if not row.is_authentic:
            raise encryption.DecryptionFailed("The MAC is not valid.")
        row.sign()
        return True


@dataclass(slots=True)
class Progress:
    """How far a run is. ``failed`` holds the primary keys of rows that do not decrypt."""

    seen: int = 0
    rotated: int = 0
    failed: list[int] = field(default_factory=list)


def rotate_keys(
    secrets: EncryptedField | SignedRows, *, batch_size: int = BATCH_SIZE
) -> Iterator[Progress]:
    """Encrypt with the newest key what is under an older one; yield the progress after each batch."""
    progress, last_pk = Progress(), None
    while True:
        with transaction.atomic():
            rows = secrets.rows.select_for_update(of=("self",)).order_by("pk")
            batch = list((rows.filter(pk__gt=last_pk) if last_pk else rows)[:batch_size])
            changed = [row for row in batch if _rotate_row(secrets, row, progress)]
            secrets.rows.bulk_update(changed, [secrets.field])
        if not batch:
            return
        last_pk = batch[-1].pk
        progress.seen += len(batch)
        progress.rotated += len(changed)
        yield progress


def _rotate_row(secrets: EncryptedField | SignedRows, row: Any, progress: Progress) -> bool:
    try:
        return secrets.rotate(row)
    except encryption.DecryptionFailed:
        progress.failed.append(row.pk)
        return False
