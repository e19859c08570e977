"""The verifier: checks the records of an export, or of the log itself, in their order."""

import hmac
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from audit.verify_export.formats import (
    FORMAT,
    GENESIS,
    KNOWN_FIELDS,
    Record,
    chain_hash_of,
    count_of,
    digest_of,
    hash_of,
    mac_of,
)
from audit.verify_export.mismatches import MAX_COMPARED, Mismatch, classify, is_same, name_of
from audit.verify_export.report import MAX_FINDINGS, Finding, Report
from audit.verify_export.saved_checkpoints import CheckpointComparison
from audit.verify_export.signed_notes import CheckpointNote, PublicKey


class Verifier:
    """Checks the records of an export in their order, in bounded memory.

    ``keys`` check the MACs of checkpoints, ``public_keys`` the signatures of workers. ``saved`` are
    signed checkpoints kept elsewhere.
    """

    def __init__(
        self,
        keys: Mapping[str, bytes],
        expected: tuple[int, str] | None = None,
        *,
        public_keys: Sequence[PublicKey] = (),
        saved: Sequence[CheckpointNote] = (),
    ) -> None:
        self.report = Report()
        self._keys = keys
        self._signed = CheckpointComparison(self.report, public_keys, saved)
        self._recomputed: str | None = GENESIS  # from the events alone; None after a missing one
        self._expected = expected
        self._position = 0
        self._chain_hash: str | None = GENESIS
        self._event_id: int | None = None  # at _position
        self._settled_id = 0
        self._covered = 0  # the last position under a checkpoint
        self._newest_mac_valid = True
        self._gaps: list[tuple[int, int, int | None]] = []
        self._early: dict[int, Record] = {}
        self._mismatches: list[Mismatch] = []
        self._irregular = False  # since the last checkpoint
        self._declared_events: int | None = None  # by the last line
        self._handlers = {
            "export": self._header,
            "stub": self._stub,
            "event": self._event,
            "missing": self._event,
            "checkpoint": self._checkpoint,
            "signed_checkpoint": self._signed_checkpoint,
            "end": self._end,
            "unreadable": self._unreadable,
        }

    def run(self, records: Iterable[Record]) -> Report:
        for _ in self.steps(records):
            pass
        return self.report

    def steps(self, records: Iterable[Record]) -> Iterator[None]:
        """Verify one record per step, for a caller that does other things in between."""
        for record, following in with_next_position(records):
            try:
                self._handlers[record["kind"]](record, following)
            except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
                name = record.get("line") or record.get("id") or record.get("number")
                self._find("edited", f"Record {name} is not in the portal's format: {error!r}")
            yield
        self._finish()

    def _header(self, record: Record, following: int | None) -> None:
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']} is not {FORMAT}")
        self.report.whole = record["whole"] is not False

    def _unreadable(self, record: Record, following: int | None) -> None:
        self._find("edited", f"Line {record['line']} cannot be read: {record['why']}.")

    def _end(self, record: Record, following: int | None) -> None:
        self._declared_events = record["events"]

    def _stub(self, record: Record, following: int | None) -> None:
        """Take a stub for the positions that follow the stub before it, at the beginning of the log."""
        first, through = record["first_position"], record["through_position"]
        if first != self._position + 1 or self.report.chained or self._covered != self._position:
            self._find("moved", "A retention stub is not at the beginning.")
            return
        if record["hash"] != hash_of("stub", record) or record["events"] != through - first + 1:
            self._find(
                "forged", f"The retention stub for positions {first} to {through} was changed."
            )
        elif record["previous_chain_hash"] != self._chain_hash:
            self._find("forged", f"The retention stub from position {first} does not fit.")
        self._signed.check_stub(record)
        self._position = self._covered = through
        self._chain_hash = self._recomputed = record["chain_hash"]
        self._signed.reach(through, self._recomputed)
        self.report.last_checkpoint = (record["through_checkpoint"], record["checkpoint_hash"])
        self.report.notes.append(
            f"Retention removed {count_of(record['events'], 'event')} up to {record['last_at']}."
        )

    def _signed_checkpoint(self, record: Record, following: int | None) -> None:
        self._signed.check_record(record, self._position, self._recomputed)

    def _event(self, record: Record, following: int | None) -> None:
        if record["kind"] == "event":
            self.report.events += 1
        position = record.get("position")
        if position is None:
            self._unchained(record)
        elif not isinstance(position, int) or isinstance(position, bool):
            raise ValueError("a position is a whole number")
        elif not self.report.whole:
            self._check(record, record["previous_chain_hash"])
        else:
            self._place(record, position, following)

    def _place(self, record: Record, position: int, following: int | None) -> None:
        """Take a record that is next in the chain; note gaps, and records that are out of order."""
        expected = self._position + 1
        if position == expected:
            self._take(record)
        elif position < expected:
            self._late(record, position)
        elif following is not None and following < position and len(self._early) < MAX_COMPARED:
            self._early[position] = record
            self._find_moved(record, position, f"is before position {expected}")
        else:
            self._skip_to(position)
            self._take(record)

    def _take(self, record: Record) -> None:
        digest = self._check(record, self._chain_hash)
        self._position, self._chain_hash = record["position"], record["chain_hash"]
        if self._recomputed is not None:
            self._recomputed = digest and chain_hash_of(self._recomputed, self._position, digest)
        self._signed.reach(self._position, self._recomputed)
        self._event_id = record.get("id", record.get("event_id"))
        if record.get("event") == "audit:restore":
            self._note_restore(record)
        if early := self._early.pop(self._position + 1, None):
            self._take(early)

    def _note_restore(self, record: Record) -> None:
        """Say why checkpoints of the time that a restore undid cannot match."""
        before, details = record["position"] - 1, record["metadata"]
        self.report.notes.append(
            f"The database was restored at {record['at']} from a backup of {details['taken_at']}. Saved "
            f"checkpoints of more than {count_of(before, 'event')} from before that do not match this log."
        )

    def _skip_to(self, position: int) -> None:
        """Note the positions before this one as gaps, unless their records came early."""
        while (expected := self._position + 1) < position:
            if early := self._early.pop(expected, None):
                self._take(early)
                continue
            until = min([position, *(early for early in self._early if early > expected)])
            self._gaps.append((expected, until - 1, self._event_id))
            self._position, self._chain_hash = until - 1, None
            self._recomputed = None
            self._irregular = True

    def _late(self, record: Record, position: int) -> None:
        for number, (first, last, after) in enumerate(self._gaps):
            if first <= position <= last:
                parts = [(first, position - 1, after), (position + 1, last, record.get("id"))]
                self._gaps[number : number + 1] = [part for part in parts if part[0] <= part[1]]
                self._check(record, None)
                self._find_moved(record, position, f"is after position {self._position}")
                return
        self._find("inserted", f"{name_of(record)} repeats position {position}.", record)

    def _check(self, record: Record, previous: str | None) -> str | None:
        """Compare a record with its digest, and that with its chain hash; return the event's digest."""
        self.report.chained += 1
        if record["kind"] == "missing":
            self._add_mismatch(Mismatch("missing", record, previous))
            return None
        digest = digest_of(record)
        if set(record) - KNOWN_FIELDS or digest != record["digest"]:
            self._add_mismatch(Mismatch("content", record, previous))
        elif previous is not None and (
            chain_hash_of(previous, record["position"], digest) != record["chain_hash"]
        ):
            self._add_mismatch(Mismatch("chain", record, previous))
        return digest

    def _add_mismatch(self, mismatch: Mismatch) -> None:
        self._irregular = True
        if len(self._mismatches) < MAX_FINDINGS:
            self._mismatches.append(mismatch)
        else:
            self.report.more_findings += 1

    def _unchained(self, record: Record) -> None:
        """Note an event outside the chain: newer than the last checkpoint, or inserted."""
        if self.report.whole and record["id"] <= self._settled_id:
            self._add_mismatch(Mismatch("unchained", record))
        else:
            self.report.pending += 1

    def _checkpoint(self, record: Record, following: int | None) -> None:
        number, last = record["number"], record["last_position"]
        last_number, last_hash = self.report.last_checkpoint
        if number <= last_number:
            self._find("moved", f"Checkpoint {number} comes after checkpoint {last_number}.")
            return
        if self._position < last:
            self._skip_to(last + 1)
            self._chain_hash = record["chain_hash"]
        if number != last_number + 1:
            self._find("deleted", f"Checkpoints {last_number + 1} to {number - 1} are missing.")
        elif record["previous_hash"] != last_hash or record["first_position"] != self._covered + 1:
            self._find("forged", f"Checkpoint {number} does not follow checkpoint {last_number}.")
        self._check_checkpoint(record, number)
        self.report.last_checkpoint = (number, record["hash"])
        self._settled_id, self._covered = record["settled_id"], last
        self.report.last_event_id = self._event_id
        self._irregular = False

    def _check_checkpoint(self, record: Record, number: int) -> None:
        name = f"Checkpoint {number} (through position {record['last_position']})"
        if record["hash"] != hash_of("checkpoint", record):
            self._find("forged", f"{name} was changed.")
        elif not self._irregular and self._chain_hash != record["chain_hash"]:
            self._find("edited", f"{name} does not match the events before it.")
        self._check_mac(record, name)
        if self._expected and self._expected[0] == number:
            if not hmac.compare_digest(record["hash"], self._expected[1]):
                self._find("forged", f"Checkpoint {number} differs from the one saved earlier.")
            self._expected = None

    def _check_mac(self, record: Record, name: str) -> None:
        key = self._keys.get(record["key_id"])
        if key is None:
            self._newest_mac_valid = False
        elif hmac.compare_digest(mac_of(key, record["hash"]), str(record["mac"])):
            self._newest_mac_valid = True
        else:
            self._find("forged", f"{name} was not written by the portal: its MAC is wrong.")

    def _finish(self) -> None:
        if self.report.whole:
            for position, record in sorted(self._early.items()):
                self._skip_to(position)
                self._take(record)
            for first, last, after in self._gaps:
                self._find_gap(first, last, after)
            if self._position > self._covered:
                span = f"{self._covered + 1} to {self._position} (up to event {self._event_id})"
                sentence = (
                    f"Positions {span} have no checkpoint: they were inserted, or it was removed."
                )
                self._find("inserted", sentence)
        self._classify_mismatches()
        self._signed.finish(self._position, whole=self.report.whole)
        self._finish_notes()

    def _find_gap(self, first: int, last: int, after: int | None) -> None:
        place = f"after event {after}" if after is not None else "at the beginning"
        span = f"Position {first}" if first == last else f"Positions {first} to {last}"
        self._find("deleted", f"{span}, {place}: event and entry are missing.", position=first)

    def _classify_mismatches(self) -> None:
        compared = self._mismatches[:MAX_COMPARED]
        for mismatch in self._mismatches:
            if mismatch.kind == "missing" and any(is_same(other, mismatch) for other in compared):
                continue  # the event that holds its content is reported as moved
            self._find(*classify(mismatch, compared), record=mismatch.record)

    def _finish_notes(self) -> None:
        report, declared = self.report, self._declared_events
        if declared is None:
            self._find("truncated", "The last line is missing: the file was cut off or changed.")
        elif declared != report.events and report.ok:
            events = count_of(declared, "event")
            self._find("truncated", f"The export declares {events} but contains {report.events}.")
        if self._expected:
            missing = f"Checkpoint {self._expected[0]}, saved earlier, is missing"
            self._find("truncated", f"{missing}; the last is {report.last_checkpoint[0]}.")
        if not report.whole:
            report.notes.append(
                "This export is filtered: its rows were checked one by one. Missing rows, and rows "
                "whose hashes were recomputed, can be found only in an export without filters."
            )
        elif not self._keys:
            report.notes.append("No key was given: the MACs of checkpoints were not checked.")
        elif not self._newest_mac_valid:
            self._find("forged", "The newest checkpoint was signed with a key that was not given.")

    def _find_moved(self, record: Record, position: int, place: str) -> None:
        sentence = f"{name_of(record)} {place}; it was recorded at position {position}."
        self._find("moved", sentence, record)

    def _find(
        self, kind: str, sentence: str, record: Record | None = None, position: int | None = None
    ) -> None:
        record = record or {}
        event_id = record.get("id", record.get("event_id"))
        self._irregular = True
        self.report.add(Finding(kind, sentence, event_id, record.get("position", position)))


def with_next_position(records: Iterable[Record]) -> Iterator[tuple[Record, int | None]]:
    """Yield each record with the position of the next chained event, None if none follows."""
    waiting: deque[Record] = deque()
    for record in records:
        waiting.append(record)
        position = record.get("position")
        if isinstance(position, int):
            while len(waiting) > 1:
                yield waiting.popleft(), position
        elif len(waiting) > MAX_FINDINGS:
            yield waiting.popleft(), None
    while waiting:
        yield waiting.popleft(), None
