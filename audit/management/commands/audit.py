"""``manage.py audit``: verify the log, export it, prune it, print the keys of its checkpoints."""

import datetime as dt
import json
import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apono_portal.core.crypto.keyring import chain_keys
from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.records import log_records
from audit.integrity.retention import PruneRefused, prune_log
from audit.integrity.verification import verify_log
from audit.services import record
from audit.verify_export import lines_of, parse_expected


class Command(BaseCommand):
    help = (
        "verify: verify the chain of the audit log and report tampering. "
        "export: write the whole log as JSON Lines, for audit/verify_export.py. "
        "prune: remove old events and leave a signed stub. key: print the keys that verify checkpoints."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verify = verbs.add_parser("verify", help="verify the chain")
        verify.add_argument("--expect", metavar="NUMBER:HASH", help="a checkpoint saved earlier")
        export = verbs.add_parser("export", help="write the whole log")
        export.add_argument("file", type=Path, help="the file to create")
        prune = verbs.add_parser("prune", help="remove old events")
        prune.add_argument(
            "--before", type=dt.date.fromisoformat, required=True, metavar="YYYY-MM-DD"
        )
        verbs.add_parser("key", help="print the keys for verify_export.py --key")

    def handle(self, *args: object, **options: object) -> None:
        getattr(self, f"_{options['verb']}")(**options)

    def _verify(self, *, expect: str | None = None, **options: object) -> None:
        try:
            expected = parse_expected(expect)
        except ValueError as error:
            raise CommandError(str(error)) from None
        write_checkpoints(timezone.now())
        report = verify_log(expected=expected)
        self.stdout.writelines(f"{line}\n" for line in lines_of(report))
        if not report.ok:
            sys.exit(1)

    def _export(self, *, file: Path, **options: object) -> None:
        write_checkpoints(timezone.now())
        metadata = {"what": "audit log", "format": "jsonl", "file": file.name}
        record(event=EventName.AUDIT_EXPORT, actor=None, metadata=metadata)
        try:
            with file.open("x", encoding="ascii") as lines:
                lines.writelines(f"{json.dumps(line)}\n" for line in log_records())
        except OSError as error:
            raise CommandError(f"Cannot write {file}: {error.strerror}") from None
        self.stdout.write(f"Exported to {file}.")

    def _prune(self, *, before: dt.date, **options: object) -> None:
        if not verify_log().ok:
            raise CommandError(
                "Verification failed, so nothing was removed. Run `audit verify` for details."
            )
        start = timezone.make_aware(dt.datetime.combine(before, dt.time.min))
        try:
            stub = prune_log(before=start)
        except PruneRefused as refused:
            raise CommandError(str(refused)) from None
        if stub is None:
            self.stdout.write("No events are old enough.")
        else:
            self.stdout.write(f"Removed. The stub covers {stub.events} events in all.")

    def _key(self, **options: object) -> None:
        for key_id, key in chain_keys().items():
            self.stdout.write(f"{key_id}:{key.hex()}")
