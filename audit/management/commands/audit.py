"""``manage.py audit``: verify the log, export it, prune it, write its verifier, print or make keys."""

import datetime as dt
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apono_portal.core.crypto.keyring import chain_keys
from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.records import log_records
from audit.integrity.retention import PruneRefused, prune_log
from audit.integrity.verification import verify_log
from audit.log.export import json_lines
from audit.services import record
from audit.verify_export.archive import verifier_archive
from audit.verify_export.command import parse_expected, read_saved
from audit.verify_export.formats import count_of
from audit.verify_export.report import lines_of
from audit.verify_export.signed_notes import make_signing_key


class Command(BaseCommand):
    help = (
        "verify: verify the chain of the audit log and report tampering. "
        "export: write the whole log as JSON Lines. verifier: write the program that verifies an export. "
        "prune: remove old events and leave a signed stub. key: print the keys for the checkpoints' MACs. "
        "make-key: create a key that signs checkpoints."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verify = verbs.add_parser("verify", help="verify the chain")
        verify.add_argument(
            "--checkpoint",
            action="append",
            default=[],
            type=Path,
            metavar="FILE",
            help="signed checkpoints saved elsewhere, to prove that nothing before them changed",
        )
        verify.add_argument("--expect", metavar="NUMBER:HASH", help="a checkpoint saved earlier")
        export = verbs.add_parser("export", help="write the whole log")
        export.add_argument("file", type=Path, help="the file to create")
        prune = verbs.add_parser("prune", help="remove old events")
        prune.add_argument(
            "--before", type=dt.date.fromisoformat, required=True, metavar="YYYY-MM-DD"
        )
        verifier = verbs.add_parser("verifier", help="write the export verifier, a single file")
        verifier.add_argument("file", type=Path, help="the file to create")
        verbs.add_parser("key", help="print the keys for the verifier's --key")
        make_key = verbs.add_parser("make-key", help="create a key that signs checkpoints")
        make_key.add_argument(
            "file", type=Path, help="the file to create, for AUDIT_SIGNING_KEY_FILE"
        )

    def handle(self, *args: object, **options: object) -> None:
        getattr(self, f"_{str(options['verb']).replace('-', '_')}")(**options)

    def _verify(
        self, *, checkpoint: Sequence[Path] = (), expect: str | None = None, **options: object
    ) -> None:
        try:
            expected, saved = parse_expected(expect), read_saved(checkpoint)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from None
        write_checkpoints(timezone.now())
        report = verify_log(expected=expected, saved=saved)
        self.stdout.writelines(f"{line}\n" for line in lines_of(report))
        if not report.ok:
            sys.exit(1)

    def _make_key(self, *, file: Path, **options: object) -> None:
        """Create a file that only its owner can read, and print the public key."""
        key = make_signing_key(settings.PORTAL_ID)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CommandError(f"Cannot write {file}: {error.strerror}") from None
        with os.fdopen(descriptor, "w") as lines:
            lines.write(f"{key}\n")
        self.stdout.write(f"{key.public_key}")

    def _verifier(self, *, file: Path, **options: object) -> None:
        try:
            file.write_bytes(verifier_archive())
        except OSError as error:
            raise CommandError(f"Cannot write {file}: {error.strerror}") from None
        self.stdout.write(f"Wrote {file}. Run: python {file} export.jsonl")

    def _export(self, *, file: Path, **options: object) -> None:
        write_checkpoints(timezone.now())
        metadata = {"what": "audit log", "format": "jsonl", "file": file.name}
        record(event=EventName.AUDIT_EXPORT, actor=None, metadata=metadata)
        try:
            with file.open("x", encoding="ascii") as lines:
                lines.writelines(json_lines(log_records()))
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
            removed = count_of(stub.events, "event")
            self.stdout.write(f"Removed {removed}. A signed stub remains.")

    def _key(self, **options: object) -> None:
        for key_id, key in chain_keys().items():
            self.stdout.write(f"{key_id}:{key.hex()}")
