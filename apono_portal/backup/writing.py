"""Writing a backup: the dump and its manifest are of the same moment."""

from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apono_portal.backup.archive import BackupError, write_archive
from apono_portal.backup.snapshot import Snapshot, take_snapshot
from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.services import record

ONLY_POSTGRESQL = "Only PostgreSQL is backed up and restored this way. Stop the demo and copy its SQLite file instead."


def write_backup(*, file: Path, operator: str) -> Snapshot:
    """Back up the database into a new file, and record it. Raises `BackupError`."""
    require_postgresql()
    _require_apart_from_keys(file)
    record(
        event=EventName.AUDIT_BACK_UP,
        actor=None,
        metadata={"file": file.name, "operator": operator},
    )
    write_checkpoints(timezone.now())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor.execute("SELECT pg_export_snapshot()")
        [snapshot_id] = cursor.fetchone()
        snapshot = take_snapshot()
        write_archive(file, snapshot, snapshot_id)
    return snapshot


def require_postgresql() -> None:
    if connection.vendor != "postgresql":
        raise BackupError(ONLY_POSTGRESQL)


def _require_apart_from_keys(file: Path) -> None:
    """Refuse a folder that has the keys: whoever gets a copy of it could decrypt the backup."""
    folder = file.absolute().parent.resolve()
    for key_file in settings.KEY_FILES:
        if key_file and Path(key_file).absolute().parent.resolve() == folder:
            raise BackupError(
                f"{folder} has {Path(key_file).name}, which decrypts or signs. Keep backups and keys apart."
            )
