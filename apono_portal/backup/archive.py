"""The file of a backup: a ZIP of the manifest and of what pg_dump writes.

Both pass through without a copy on disk. The dump is compressed by pg_dump itself.
"""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import IO, cast

from django.db import connection
from django.db.backends.postgresql.client import DatabaseClient

from apono_portal.backup.snapshot import Snapshot

MANIFEST, DUMP = "manifest.json", "database.dump"
CHUNK_BYTES = 1 << 20
# Their rows are not needed again: a restore ends all sessions.
LEFT_OUT = ("django_session", "sso_providersession", "users_signedindevice")


class BackupError(Exception):
    """A backup cannot be written or restored. The message is a sentence without secrets."""


def write_archive(file: Path, snapshot: Snapshot, snapshot_id: str) -> None:
    """Create the file, readable by its owner only. An incomplete one is removed."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BackupError(f"Cannot write {file}: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "w+b") as stream, zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(MANIFEST, json.dumps(snapshot.as_dict(), indent=1))
            _dump_into(archive, snapshot_id)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def read_manifest(file: Path) -> Snapshot:
    try:
        with zipfile.ZipFile(file) as archive:
            return Snapshot.of(json.loads(archive.read(MANIFEST)))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or error
        raise BackupError(f"{file} is not a backup of this portal: {reason}.") from None


def restore_archive(file: Path) -> None:
    """Fill the database in one transaction. A file that was damaged changes nothing."""
    program, environment, database = _tool("pg_restore")
    command = [
        *program,
        *("--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"),
        f"--dbname={database}",
    ]
    with _start(command, environment, stdin=subprocess.PIPE) as process:
        try:
            with zipfile.ZipFile(file) as archive, archive.open(DUMP) as dump:
                shutil.copyfileobj(dump, cast(IO[bytes], process.stdin), CHUNK_BYTES)
        except BrokenPipeError:
            pass  # its error message says why it stopped reading
        except (KeyError, zipfile.BadZipFile) as error:
            process.kill()
            raise BackupError(f"{file} is damaged: {error}. Nothing was restored.") from None
        _require_success(process, "pg_restore")


def _dump_into(archive: zipfile.ZipFile, snapshot_id: str) -> None:
    program, environment, database = _tool("pg_dump")
    command = [
        *program,
        *("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot_id}"),
        *(f"--exclude-table-data={table}" for table in LEFT_OUT),
        database,
    ]
    with _start(command, environment, stdout=subprocess.PIPE) as process:
        with archive.open(DUMP, "w", force_zip64=True) as dump:
            shutil.copyfileobj(cast(IO[bytes], process.stdout), dump, CHUNK_BYTES)
        _require_success(process, "pg_dump")


def _start(
    command: list[str],
    environment: dict[str, str],
    *,
    stdin: int | None = None,
    stdout: int | None = None,
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603  PostgreSQL's own programs, with arguments of our own
        command, env=environment, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE
    )


def _require_success(process: "subprocess.Popen[bytes]", name: str) -> None:
    _, message = process.communicate()
    if process.returncode:
        lines = message.decode(errors="replace").strip().splitlines()
        raise BackupError(f"{name} failed: {' '.join(lines[:2]) or 'it gave no reason.'}")


def _tool(name: str) -> tuple[list[str], dict[str, str], str]:
    """Return a program with its options, its environment, and the name of the portal's database.

    The password is in the environment: other accounts of the machine see command lines.
    """
    path = shutil.which(name)
    if path is None:
        raise BackupError(
            f"{name} is not installed. Install PostgreSQL's client programs, at least as new as the server."
        )
    arguments, variables = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
    *options, database = arguments[1:]
    return [path, *options], {"PATH": os.defpath, **(variables or {})}, database
