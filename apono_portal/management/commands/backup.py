"""``manage.py backup``: write the portal's database into one file, with a manifest."""

import getpass
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from apono_portal.backup.archive import BackupError
from apono_portal.backup.writing import write_backup


class Command(BaseCommand):
    help = (
        "Back up the database into a new file that only its owner can read. Encryption keys, SECRET_KEY and the "
        "signing key are not in it: back them up apart from it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the file to create")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            snapshot = write_backup(file=options["file"], operator=getpass.getuser())
        except BackupError as error:
            raise CommandError(str(error)) from None
        except DatabaseError as error:
            raise CommandError(f"The database failed: {type(error).__name__}.") from None
        live = len(snapshot.grants)
        self.stdout.write(
            f"Wrote {options['file']}: {live} live grants, audit log through position {snapshot.position}."
        )
        self.stdout.write(
            f"Not in it, and needed to restore: ENCRYPTION_KEYS ({', '.join(snapshot.key_ids)}), SECRET_KEY and "
            "the audit signing key. Keep them apart from it."
        )
