"""The command: ``python -m audit.verify_export export.jsonl``."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from audit.verify_export.formats import records_in
from audit.verify_export.report import lines_of
from audit.verify_export.signed_notes import (
    CheckpointNote,
    parse_public_key,
    read_checkpoints,
)
from audit.verify_export.verifier import Verifier


def parse_keys(texts: Iterable[str]) -> dict[str, bytes]:
    """Return ``{key id: key}`` from ``id:hex`` texts, or files with one on each line."""
    keys = {}
    for text in texts:
        entries = Path(text).read_text() if Path(text).is_file() else text
        for entry in entries.split():
            key_id, _, encoded = entry.partition(":")
            keys[key_id] = bytes.fromhex(encoded)
    return keys


def parse_expected(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, hashed = text.partition(":")
    if len(hashed) != 64:
        raise ValueError("--expect takes NUMBER:HASH, with the whole hash")
    return int(number), hashed


def read_saved(paths: Iterable[Path]) -> list[CheckpointNote]:
    """Return the signed checkpoints in files. Raises `OSError` or `ValueError` with the file's name."""
    checkpoints = []
    for path in paths:
        try:
            checkpoints += read_checkpoints(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return checkpoints


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        verifier = Verifier(
            parse_keys(options.key),
            parse_expected(options.expect),
            public_keys=[parse_public_key(text) for text in options.public_key],
            saved=read_saved(options.checkpoint),
        )
        if options.export == "-":
            report = verifier.run(records_in(sys.stdin.buffer))
        else:
            with Path(options.export).open("rb") as lines:
                report = verifier.run(records_in(lines))
    except ImportError:
        sys.stderr.write("To check signatures, run: pip install cryptography\n")
        return 2
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in lines_of(report))
    return 0 if report.ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verify-export", description="Verify an export of the audit log."
    )
    parser.add_argument("export", help="the JSON Lines file; - for standard input")
    parser.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="signed checkpoints saved earlier, to prove that nothing before them changed",
    )
    parser.add_argument(
        "--public-key",
        action="append",
        default=[],
        metavar="KEY",
        help="a key of the portal's AUDIT_PUBLIC_KEYS, to check signatures",
    )
    parser.add_argument(
        "--key", action="append", default=[], help="id:hex, or a file of them, to check MACs"
    )
    parser.add_argument("--expect", metavar="NUMBER:HASH", help="a checkpoint saved earlier")
    return parser
