"""The format of audit log exports, and their verifier.

    python verify_export.py export.jsonl [--key FILE] [--expect NUMBER:HASH]

Needs only the standard library, so it can be given to an auditor along with an export. The portal
itself signs and verifies with the functions below; the format is described nowhere else.

* An event's digest is the SHA-256 of ``event``, a line feed and its fields as canonical JSON: keys
  sorted, no spaces, everything beyond ASCII escaped.
* A chained event has a position, counted from 1 without gaps. Its chain hash is the SHA-256 of the
  previous chain hash (64 zeros before the first), its position and its digest, one to a line.
* A checkpoint covers a run of positions. It holds the chain hash of the last, the hash of the previous
  checkpoint and ``settled_id``, up to which no event is missing. Its hash is the SHA-256 of its fields
  likewise; its MAC is HMAC-SHA-256 (RFC 2104) of that hash, under a key outside the database.
* A stub stands for the beginning of a chain that retention removed, hashed and MACed like a checkpoint.

Without the key the verifier finds whatever is inconsistent. A log rewritten from some event to the end
is detected with the key, or with the hash of a checkpoint saved earlier (``--expect``).
"""

import argparse
import hashlib
import hmac
import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Record = dict[str, Any]

FORMAT = "apono-audit-1"
GENESIS = "0" * 64
_FIELD_NAMES = {
    "event": "id at event actor_id actor_label target_type target_id target_label request_id "
    "request_label address user_agent metadata",
    "checkpoint": "number first_position last_position settled_id created_at chain_hash "
    "previous_hash key_id",
    "stub": "through_position through_checkpoint events chain_hash checkpoint_hash first_at last_at "
    "removed_at key_id",
}
FIELDS = {kind: tuple(names.split()) for kind, names in _FIELD_NAMES.items()}
KNOWN_FIELDS = {
    *FIELDS["event"],
    *["kind", "position", "digest", "chain_hash", "previous_chain_hash"],
}
MAX_FINDINGS = 1000
MAX_COMPARED = 200  # mismatches that are compared with each other to find moved events


def digest_of(event: Mapping[str, object]) -> str:
    return hash_of("event", event)


def chain_hash_of(previous: str, position: int, digest: str) -> str:
    return hashlib.sha256(f"{previous}\n{position}\n{digest}".encode()).hexdigest()


def mac_of(key: bytes, hashed: str) -> str:
    return hmac.new(key, hashed.encode(), hashlib.sha256).hexdigest()


def hash_of(kind: str, values: Mapping[str, object]) -> str:
    """Return the digest of an event, or the hash of a checkpoint or stub."""
    fields = {name: values[name] for name in FIELDS[kind]}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()


@dataclass(frozen=True)
class Finding:
    """A difference from what was recorded: edited, deleted, inserted, moved, forged or truncated."""

    kind: str
    sentence: str
    event_id: int | None = None
    position: int | None = None

    def __str__(self) -> str:
        return f"{self.kind.upper()}: {self.sentence}"


@dataclass
class Report:
    """The result of a verification. ``last_checkpoint`` is number and hash of the last one seen."""

    events: int = 0
    chained: int = 0
    pending: int = 0
    whole: bool = True
    last_checkpoint: tuple[int, str] = (0, GENESIS)
    last_event_id: int | None = None
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, finding: Finding) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        else:
            self.more_findings += 1


@dataclass(frozen=True)
class Mismatch:
    """A position whose event is missing or does not fit, kept until all of them are compared."""

    kind: str
    record: Record
    previous: str | None = None

    @property
    def event_id(self) -> int:
        return int(self.record["event_id" if self.kind == "missing" else "id"])


class Verifier:
    """Checks the records of an export in their order, in bounded memory."""

    def __init__(self, keys: Mapping[str, bytes], expected: tuple[int, str] | None = None) -> None:
        self.report = Report()
        self._keys = keys
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
        if self._position or self.report.last_checkpoint[0]:
            self._find("moved", "The retention stub is not at the beginning.")
            return
        if record["hash"] != hash_of("stub", record):
            self._find("forged", "The retention stub was changed.")
        self._check_mac(record, "The retention stub")
        self._position = self._covered = record["through_position"]
        self._chain_hash = record["chain_hash"]
        self.report.last_checkpoint = (record["through_checkpoint"], record["checkpoint_hash"])
        self.report.notes.append(
            f"Retention removed {record['events']} events up to {record['last_at']}."
        )

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
        self._check(record, self._chain_hash)
        self._position, self._chain_hash = record["position"], record["chain_hash"]
        self._event_id = record.get("id", record.get("event_id"))
        if early := self._early.pop(self._position + 1, None):
            self._take(early)

    def _skip_to(self, position: int) -> None:
        """Note the positions before this one as gaps, unless their records came early."""
        while (expected := self._position + 1) < position:
            if early := self._early.pop(expected, None):
                self._take(early)
                continue
            until = min([position, *(early for early in self._early if early > expected)])
            self._gaps.append((expected, until - 1, self._event_id))
            self._position, self._chain_hash = until - 1, None
            self._irregular = True

    def _late(self, record: Record, position: int) -> None:
        for number, (first, last, after) in enumerate(self._gaps):
            if first <= position <= last:
                parts = [(first, position - 1, after), (position + 1, last, record.get("id"))]
                self._gaps[number : number + 1] = [part for part in parts if part[0] <= part[1]]
                self._check(record, None)
                self._find_moved(record, position, f"is after position {self._position}")
                return
        self._find("inserted", f"{_name(record)} repeats position {position}.", record)

    def _check(self, record: Record, previous: str | None) -> None:
        """Compare a record with its digest, and its digest with its chain hash."""
        self.report.chained += 1
        if record["kind"] == "missing":
            self._add_mismatch(Mismatch("missing", record, previous))
        elif set(record) - KNOWN_FIELDS or digest_of(record) != record["digest"]:
            self._add_mismatch(Mismatch("content", record, previous))
        elif previous is not None and (
            chain_hash_of(previous, record["position"], record["digest"]) != record["chain_hash"]
        ):
            self._add_mismatch(Mismatch("chain", record, previous))

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
            self._find("forged", f"{name} was not signed by the portal: its MAC is wrong.")

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
        self._finish_notes()

    def _find_gap(self, first: int, last: int, after: int | None) -> None:
        place = f"after event {after}" if after is not None else "at the beginning"
        span = f"Position {first}" if first == last else f"Positions {first} to {last}"
        self._find("deleted", f"{span}, {place}: event and entry are missing.", position=first)

    def _classify_mismatches(self) -> None:
        compared = self._mismatches[:MAX_COMPARED]
        for mismatch in self._mismatches:
            if mismatch.kind == "missing" and any(_same(other, mismatch) for other in compared):
                continue  # the event that holds its content is reported as moved
            self._find(*_classify(mismatch, compared), record=mismatch.record)

    def _finish_notes(self) -> None:
        report, declared = self.report, self._declared_events
        if declared is None:
            self._find("truncated", "The last line is missing: the file was cut off or changed.")
        elif declared != report.events and report.ok:
            self._find(
                "truncated", f"The export declares {declared} events but contains {report.events}."
            )
        if self._expected:
            missing = f"Checkpoint {self._expected[0]}, saved earlier, is missing"
            self._find("truncated", f"{missing}; the last is {report.last_checkpoint[0]}.")
        if not report.whole:
            report.notes.append(
                "This export is filtered: its rows were checked one by one. Missing rows, and rows "
                "whose hashes were recomputed, can be found only in an export without filters."
            )
        elif not self._keys:
            report.notes.append("No key was given: signatures of checkpoints were not checked.")
        elif not self._newest_mac_valid:
            self._find("forged", "The newest checkpoint was signed with a key that was not given.")

    def _find_moved(self, record: Record, position: int, place: str) -> None:
        sentence = f"{_name(record)} {place}; it was recorded at position {position}."
        self._find("moved", sentence, record)

    def _find(
        self, kind: str, sentence: str, record: Record | None = None, position: int | None = None
    ) -> None:
        record = record or {}
        event_id = record.get("id", record.get("event_id"))
        self._irregular = True
        self.report.add(Finding(kind, sentence, event_id, record.get("position", position)))


def _name(record: Record) -> str:
    return f"Event {record.get('id', record.get('event_id'))}"


def _same(event: Mismatch, entry: Mismatch) -> bool:
    """Return whether the event is what was recorded at that entry, under another id."""
    kinds = (event.kind in {"content", "unchained"}, entry.kind in {"content", "missing"})
    if event is entry or not all(kinds):
        return False
    return digest_of({**event.record, "id": entry.event_id}) == str(entry.record["digest"])


def _classify(mismatch: Mismatch, others: list[Mismatch]) -> tuple[str, str]:
    name, position = _name(mismatch.record), mismatch.record.get("position")
    if entry := next((other for other in others if _same(mismatch, other)), None):
        return "moved", f"{name} holds what was recorded as event {entry.event_id}."
    if mismatch.kind == "missing":
        return "deleted", f"{name}, recorded at position {position}, is missing."
    if mismatch.kind == "unchained":
        return "inserted", f"{name} was inserted among events already in the chain."
    if mismatch.kind == "content":
        return "edited", f"{name}, at position {position}, is not what was recorded there."
    if entry := next((other for other in others if _belongs(mismatch, other)), None):
        was = entry.record["position"]
        return "moved", f"{name} is at position {position}; it was recorded at position {was}."
    return "edited", f"{name} or the event before position {position} was changed, with its hashes."


def _belongs(mismatch: Mismatch, entry: Mismatch) -> bool:
    """Return whether an event with the right content and a wrong chain hash belongs to that entry."""
    if entry is mismatch or entry.kind != "chain" or entry.previous is None:
        return False
    position, digest = entry.record["position"], mismatch.record["digest"]
    return chain_hash_of(entry.previous, position, digest) == str(entry.record["chain_hash"])


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


def records_in(lines: Iterable[bytes]) -> Iterator[Record]:
    """Parse JSON Lines. A line that cannot be read becomes a record that says so."""
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line, object_pairs_hook=_unique_keys, parse_constant=_refuse)
            if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
                raise ValueError("not a record of an export")
        except (ValueError, RecursionError) as error:
            record = {"kind": "unreadable", "line": number, "why": str(error)}
        yield record


def _unique_keys(pairs: list[tuple[str, object]]) -> Record:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("duplicate key")
    return record


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


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


def lines_of(report: Report) -> Iterator[str]:
    """Yield the report as lines of text."""
    yield from map(str, report.findings)
    if report.more_findings:
        yield f"... and {report.more_findings} more."
    yield from report.notes
    yield f"{report.events} events: {report.chained} in the chain, {report.pending} newer."
    if report.whole:
        number, hashed = report.last_checkpoint
        yield f"Verified through event {report.last_event_id}. Last checkpoint: {number}:{hashed}"
    yield "No tampering found." if report.ok else f"{len(report.findings)} findings."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Verify an export of the audit log.")
    parser.add_argument("export", help="the JSON Lines file; - for standard input")
    parser.add_argument("--key", action="append", default=[], help="id:hex, or a file of them")
    parser.add_argument("--expect", metavar="NUMBER:HASH", help="a checkpoint saved earlier")
    options = parser.parse_args(arguments)
    try:
        verifier = Verifier(parse_keys(options.key), parse_expected(options.expect))
        if options.export == "-":
            report = verifier.run(records_in(sys.stdin.buffer))
        else:
            with Path(options.export).open("rb") as lines:
                report = verifier.run(records_in(lines))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in lines_of(report))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
