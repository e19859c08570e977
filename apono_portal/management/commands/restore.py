"""``manage.py restore``: say what a backup does not know, and restore it into an empty database."""

import getpass
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from apono_portal.backup.archive import BackupError, read_manifest
from apono_portal.backup.comparison import PREVIOUS, current_snapshot, describe_changes
from apono_portal.backup.restoration import end_what_was_open, fill_database, require_restorable
from apono_portal.backup.snapshot import Snapshot
from apono_portal.backup.targets import UnknownLogins, settle_unknown_logins, unknown_to_backup
from apono_portal.backup.writing import require_postgresql

ADVANCE_UNKNOWN = 1_000_000  # where nothing says which numbers were used after the backup


class Command(BaseCommand):
    help = (
        "Restore a backup into the empty database that DATABASE_URL names, while no web process or worker runs. "
        "Sessions, tokens and verified windows end, and logins on targets that the backup does not know are "
        "removed. PREVIOUS_DATABASE_URL names the database in use until now, if it still answers."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a file that manage.py backup wrote")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only say what the backup does not know of the database in use, and of its targets",
        )
        parser.add_argument(
            "--advance",
            type=int,
            metavar="N",
            help=f"how far numbers jump beyond the last that is known (default: 0 with PREVIOUS_DATABASE_URL, else {ADVANCE_UNKNOWN})",
        )
        parser.add_argument(
            "--keep-passwords",
            action="store_true",
            help="without PREVIOUS_DATABASE_URL: keep passwords, also those replaced after the backup",
        )
        parser.add_argument(
            "--leave-unknown",
            action="store_true",
            help="only list logins on targets that the backup does not know; they expire at their own end",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._restore(**options)
        except BackupError as error:
            raise CommandError(str(error)) from None

    def _restore(self, *, file: Path, dry_run: bool, **options: Any) -> None:
        require_postgresql()
        backup = read_manifest(file)
        require_restorable(backup)
        self.stdout.write(
            f"Backup of {backup.taken_at}, release {backup.version}: {len(backup.grants)} live grants, audit log "
            f"through position {backup.position}."
        )
        using = PREVIOUS if PREVIOUS in connections else DEFAULT_DB_ALIAS
        current = current_snapshot(using) if dry_run or using == PREVIOUS else None
        if current:
            self._write(describe_changes(backup=backup, current=current, using=using))
        if dry_run:
            self._preview(backup, current, using)
            return
        fill_database(file, backup)
        self._finish(backup, current, **options)

    def _preview(self, backup: Snapshot, current: Snapshot | None, using: str) -> None:
        if current is None:
            self.stdout.write("The database is empty: there is nothing to compare the backup with.")
            return
        known = {grant.id for grant in backup.grants}
        self._write_logins(unknown_to_backup(known, using))
        self.stdout.write("Nothing was changed.")

    def _finish(
        self,
        backup: Snapshot,
        current: Snapshot | None,
        *,
        advance: int | None,
        keep_passwords: bool,
        leave_unknown: bool,
        **options: Any,
    ) -> None:
        if advance is None:
            advance = 0 if current else ADVANCE_UNKNOWN
        counts = end_what_was_open(
            backup=backup,
            current=current,
            advance=advance,
            keep_passwords=keep_passwords,
            operator=getpass.getuser(),
        )
        self._write(f"Ended {name}: {number}" for name, number in counts.items())
        self._write_logins(settle_unknown_logins(leave=leave_unknown))
        self.stdout.write(
            "Restored. Run `manage.py audit verify`, start one worker, then the web processes."
        )
        if counts["passwords"]:
            self.stdout.write(
                "Users whose password was made useless need a link: admins create them under Users; "
                "`manage.py add_admin` makes an admin who can."
            )

    def _write_logins(self, logins: UnknownLogins) -> None:
        for title, lines in (
            ("Unknown logins removed from targets", logins.removed),
            ("Unknown logins on targets", logins.left),
            ("Targets that could not be compared", logins.unreachable),
        ):
            self.stdout.write(f"{title}: {len(lines) or 'none'}")
            self._write(f"  {line}" for line in lines)

    def _write(self, lines: Iterable[str]) -> None:
        self.stdout.writelines(f"{line}\n" for line in lines)
