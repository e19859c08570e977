"""Restoring a backup into an empty database."""

from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from apono_portal.backup import endings
from apono_portal.backup.archive import BackupError, restore_archive
from apono_portal.backup.snapshot import Snapshot, read_sequences
from apono_portal.core.crypto.keyring import key_ids
from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.models import ChainEntry
from audit.services import record
from requests_app.models import TargetScan


def require_restorable(backup: Snapshot) -> None:
    """Raise `BackupError` unless this release, with these keys, can use the backup."""
    if missing := sorted(set(backup.key_ids) - set(key_ids())):
        raise BackupError(f"ENCRYPTION_KEYS lacks keys of this backup: {', '.join(missing)}.")
    if backup.portal_id != settings.PORTAL_ID:
        raise BackupError(
            f"This backup is of the portal {backup.portal_id}; PORTAL_ID is {settings.PORTAL_ID}."
        )
    loader = MigrationLoader(None, ignore_no_migrations=True)
    known = {".".join(key) for key in loader.disk_migrations}
    if unknown := sorted(set(backup.migrations) - known):
        raise BackupError(
            f"This backup is of release {backup.version}, whose migration {unknown[-1]} this release lacks."
        )


def fill_database(file: Path, backup: Snapshot) -> None:
    """Restore the dump into the empty database, and bring its tables to this release."""
    if connection.introspection.table_names():
        raise BackupError(
            "The database is not empty. Create a new one and name it in DATABASE_URL. The one in use until now "
            "can be named in PREVIOUS_DATABASE_URL."
        )
    restore_archive(file)
    call_command("migrate", verbosity=0)
    last = ChainEntry.objects.filter(position=backup.position).first()
    if backup.position and (last is None or last.chain_hash != backup.chain_hash):
        raise BackupError(
            "The audit log in this backup is not the one that its manifest names. Drop the database."
        )


def end_what_was_open(
    *,
    backup: Snapshot,
    current: Snapshot | None,
    advance: int,
    keep_passwords: bool,
    operator: str,
) -> dict[str, int]:
    """End what must not come back with a backup, and record the restore. Return how many of what.

    ``current`` is the previous database, if it can be compared. Numbers go on ``advance`` beyond the last
    that the backup and the previous database know.
    """
    _advance_sequences(backup, current, advance)
    write_checkpoints(timezone.now())
    compares = current is not None
    with transaction.atomic():
        counts = {
            "sessions": endings.end_sessions(),
            "passwords": endings.void_passwords(only_changed=compares, keep=keep_passwords),
            "proposals": endings.expire_proposals(),
            "deliveries": endings.withdraw_deliveries(),
            "requests": endings.end_requests(compares=compares),
        }
        if compares:
            counts |= {
                "methods": endings.remove_methods(),
                "users": endings.deactivate_users(),
            }
        TargetScan.objects.update(next_scan_at=timezone.now(), lease_by="", lease_until=None)
        metadata = {
            "taken_at": backup.taken_at,
            "position": backup.position,
            "chain_hash": backup.chain_hash,
            "version": backup.version,
            "lost_events": max(current.last_event - backup.last_event, 0) if current else None,
            "operator": operator,
            "ended": counts,
        }
        record(event=EventName.AUDIT_RESTORE, actor=None, metadata=metadata)
    return counts


def _advance_sequences(backup: Snapshot, current: Snapshot | None, advance: int) -> None:
    """Let every sequence go on beyond each number that was ever given out."""
    known = [read_sequences(), backup.sequences, current.sequences if current else {}]
    with connection.cursor() as cursor:
        for name in known[0]:
            last = max(numbers.get(name, 0) for numbers in known)
            cursor.execute("SELECT setval(%s::regclass, %s)", [name, last + advance])
