"""Signed checkpoints, compared with the chain hash that the events themselves give."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from audit.verify_export.formats import Record, count_of
from audit.verify_export.report import Finding, Report
from audit.verify_export.signed_notes import (
    CheckpointNote,
    InvalidNote,
    PublicKey,
    checkpoint_text,
    read_checkpoints,
    require_signature,
    stub_text,
)


class CheckpointComparison:
    """Compares checkpoints saved elsewhere, and those within the log, while the log is read."""

    def __init__(
        self, report: Report, keys: Sequence[PublicKey], saved: Sequence[CheckpointNote]
    ) -> None:
        self._report = report
        self._keys = keys
        self._number = len(saved)
        self._matching: list[int] = []
        self._signed_through = 0
        self._saved: dict[int, list[CheckpointNote]] = defaultdict(list)
        for checkpoint in saved:
            if keys and (why := self._signature_gap(checkpoint)):
                self._find("forged", f"{_name(checkpoint.size)} is not accepted: {why}.")
            else:
                self._saved[checkpoint.size].append(checkpoint)

    def reach(self, position: int, chain_hash: str | None) -> None:
        """Compare what was saved at a position. The hash is None if events before it are missing."""
        for checkpoint in self._saved.pop(position, ()):
            if chain_hash is None:
                self._find("deleted", f"{_name(position)} is not confirmed: events are missing.")
            elif chain_hash == checkpoint.chain_hash:
                self._matching.append(position)
            else:
                what = "an event up to there was changed, inserted or removed after it was signed"
                self._find("forged", f"{_name(position)} does not match this log: {what}.")

    def check_record(self, record: Record, position: int, chain_hash: str | None) -> None:
        """Check a signed checkpoint that the log holds itself."""
        [checkpoint] = read_checkpoints(record["note"])
        name = f"The signed checkpoint of {count_of(checkpoint.size, 'event')}"
        if checkpoint.note != record["note"]:
            self._find("forged", f"{name} was changed.")
        elif checkpoint.size != position or chain_hash not in (None, checkpoint.chain_hash):
            self._find("forged", f"{name} does not match the events before it.")
        elif self._keys and (why := self._signature_gap(checkpoint)):
            self._find("forged", f"{name} is not accepted: {why}.")
        elif chain_hash is not None:
            self._signed_through = position

    def check_stub(self, record: Record) -> None:
        """Check that a worker signed a retention stub. Without a public key no stub is accepted."""
        why = self._note_gap(record["note"], lambda origin: stub_text(origin, record))
        if why:
            span = f"{record['first_position']} to {record['through_position']}"
            self._find("forged", f"The retention stub for positions {span} is not accepted: {why}.")
        for position in [
            size
            for size in self._saved
            if record["first_position"] <= size < record["through_position"]
        ]:
            self._number -= len(self._saved.pop(position))
            self._report.notes.append(
                f"{_name(position)} can no longer be compared: retention removed its last event."
            )

    def finish(self, position: int, *, whole: bool) -> None:
        """Report what could not be compared, and how far the log is vouched for."""
        if not whole:
            if self._number:
                what = "Saved checkpoints can be compared only with an export without filters."
                self._find("truncated", what)
            return
        for size in sorted(self._saved):
            if size <= position:
                self._find("deleted", f"{_name(size)} is not confirmed: events are missing.")
            else:
                what = f"but this log has {position}: events were removed from its end"
                self._find(
                    "truncated", f"A saved checkpoint has {count_of(size, 'event')}, {what}."
                )
        self._add_notes(position)

    def _add_notes(self, position: int) -> None:
        notes = self._report.notes
        if self._number and len(self._matching) == self._number:
            first = count_of(max(self._matching), "event")
            what = f"Nothing in the first {first} has changed since."
            notes.append(f"Saved checkpoints that match: {self._number} of {self._number}. {what}")
        elif self._number:
            notes.append(f"Saved checkpoints that match: {len(self._matching)} of {self._number}.")
        if self._signed_through:
            events = count_of(position, "event")
            notes.append(f"Signed checkpoints in the log cover {self._signed_through} of {events}.")
        elif position:
            notes.append("No signed checkpoint in the log covers its events.")
        if not self._keys and (self._number or self._signed_through):
            notes.append("No public key was given: signatures were not checked.")

    def _signature_gap(self, checkpoint: CheckpointNote) -> str:
        return self._note_gap(
            checkpoint.note,
            lambda origin: checkpoint_text(origin, checkpoint.size, checkpoint.chain_hash),
        )

    def _note_gap(self, note: str, text_of: Callable[[str], str]) -> str:
        """Return why a note is not signed for a text that names its key, or ""."""
        if not self._keys:
            return "no public key was given to check its signature"
        try:
            key = require_signature(note, self._keys)
        except InvalidNote as invalid:
            return str(invalid)
        signed = note.rpartition("\n\n")[0] + "\n"
        return "" if signed == text_of(key.name) else "its signature is for something else"

    def _find(self, kind: str, sentence: str) -> None:
        self._report.add(Finding(kind, sentence))


def _name(size: int) -> str:
    return f"The saved checkpoint of {count_of(size, 'event')}"
