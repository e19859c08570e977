"""The seal chain of the audit log: its format, and its verifier.

    python verify_export.py export.jsonl [--key FILE] [--expect NUMBER:HASH]

Needs the standard library only, so that it can be handed to an auditor with an export. The portal
itself seals and verifies with the functions below; there is no second description of the format.

* An event's digest is the SHA-256 of ``event``, a line feed and its fields as canonical JSON: keys
  sorted, no spaces, everything beyond ASCII escaped.
* A sealed event has a position, counted from 1 without gaps. Its link is the SHA-256 of the link
  before it (64 zeros before the first), its position and its digest, one to a line.
* A seal closes a run of positions: it holds the link of the last, the hash of the seal before it and
  ``settled_id``, up to which no event is left out. Its hash is the SHA-256 of its fields in the same
  way; its MAC is HMAC-SHA-256 (RFC 2104) of that hash, under a key that is not in the database.
* A stub stands for the beginning of a chain that retention removed, hashed and MACed like a seal.

Without the key the verifier finds whatever does not fit together; somebody who rewrote everything
from one place to the end is found by a seal's hash noted earlier (``--expect``), or with the key.
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
_WORDS = {
    "event": "id at event actor_id actor_label target_type target_id target_label request_id "
    "request_label address user_agent metadata",
    "seal": "number first_position last_position settled_id sealed_at link previous key_id",
    "stub": "through_position through_seal events link seal_hash first_at last_at removed_at key_id",
}
FIELDS = {kind: tuple(words.split()) for kind, words in _WORDS.items()}
KNOWN_FIELDS = {*FIELDS["event"], "kind", "position", "previous", "digest", "link"}
MOST_FINDINGS = 1000
MOST_COMPARED = 200  # of rows that do not fit, how many are tried in each other's place


def digest_of(event: Mapping[str, Any]) -> str:
    return hash_of("event", event)


def link_of(previous: str, position: int, digest: str) -> str:
    return hashlib.sha256(f"{previous}\n{position}\n{digest}".encode()).hexdigest()


def mac_of(key: bytes, hashed: str) -> str:
    return hmac.new(key, hashed.encode(), hashlib.sha256).hexdigest()


def hash_of(kind: str, thing: Mapping[str, Any]) -> str:
    """Return the digest of an event, or the hash of a seal or stub."""
    fields = {name: thing[name] for name in FIELDS[kind]}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was sealed: edited, deleted, inserted, moved, forged or cut."""

    kind: str
    sentence: str
    event_id: int | None = None
    position: int | None = None

    def __str__(self) -> str:
        return f"{self.kind.upper()}: {self.sentence}"


@dataclass
class Report:
    """What a verification found. ``head`` is number and hash of the last seal it saw."""

    events: int = 0
    sealed: int = 0
    waiting: int = 0
    whole: bool = True
    head: tuple[int, str] = (0, GENESIS)
    last_sealed_id: int | None = None
    last_position: int = 0
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, finding: Finding) -> None:
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)
        else:
            self.more_findings += 1


@dataclass(frozen=True)
class Misfit:
    """A sealed place whose event is missing or does not fit, until all of them are compared."""

    kind: str
    record: Record
    previous: str | None = None

    @property
    def event_id(self) -> int:
        return int(self.record["event_id" if self.kind == "missing" else "id"])


class Verifier:
    """Goes through the records of an export in their order, in bounded memory."""

    def __init__(self, keys: Mapping[str, bytes], expected: tuple[int, str] | None = None) -> None:
        self.report = Report()
        self._keys = keys
        self._expected = expected
        self._position = 0
        self._link: str | None = GENESIS
        self._last_id: int | None = None  # the event at _position
        self._settled_id = 0
        self._covered = 0  # the last position a seal covers
        self._proven = True  # the newest seal or stub has a right MAC
        self._gaps: list[tuple[int, int, int | None]] = []
        self._early: dict[int, Record] = {}
        self._misfits: list[Misfit] = []
        self._odd_since_seal = False
        self._said_events: int | None = None  # by the last line

        self._handlers = {
            "export": self._header,
            "stub": self._stub,
            "event": self._event,
            "missing": self._event,
            "seal": self._seal,
            "end": self._end,
            "unreadable": self._unreadable,
        }

    def run(self, records: Iterable[Record]) -> Report:
        for _ in self.steps(records):
            pass
        return self.report

    def steps(self, records: Iterable[Record]) -> Iterator[None]:
        """Do the same record by record, for a caller with other things to do in between."""
        for record, following in with_next_position(records):
            try:
                self._handlers[record["kind"]](record, following)
            except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
                said = record.get("line") or record.get("id") or record.get("number")
                self._find("edited", f"A record ({said}) is not as the portal writes it: {error!r}")
            yield
        self._finish()

    # --- What comes, one by one -----------------------------------------------------------------
    def _header(self, record: Record, following: int | None) -> None:
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']} is not {FORMAT}")
        self.report.whole = record["whole"] is not False

    def _unreadable(self, record: Record, following: int | None) -> None:
        self._find("edited", f"Line {record['line']} cannot be read: {record['why']}.")

    def _end(self, record: Record, following: int | None) -> None:
        self._said_events = record["events"]

    def _stub(self, record: Record, following: int | None) -> None:
        if self._position or self.report.head[0]:
            self._find("moved", "The stub of retention does not stand at the beginning.")
            return
        if record["hash"] != hash_of("stub", record):
            self._find("forged", "The stub of retention is not as it was sealed.")
        self._check_mac(record, "The stub of retention")
        self._position = self._covered = record["through_position"]
        self._link = record["link"]
        self.report.head = (record["through_seal"], record["seal_hash"])
        self.report.notes.append(
            f"{record['events']} events up to {record['last_at']} were removed by retention."
        )

    def _event(self, record: Record, following: int | None) -> None:
        if record["kind"] == "event":
            self.report.events += 1
        position = record.get("position")
        if position is None:
            self._unsealed(record)
        elif not isinstance(position, int) or isinstance(position, bool):
            raise ValueError("a position is a whole number")
        elif not self.report.whole:
            self._check(record, record["previous"])
        else:
            self._place(record, position, following)

    def _place(self, record: Record, position: int, following: int | None) -> None:
        """Take a record whose turn it is; note gaps, and records that stand elsewhere."""
        expected = self._position + 1
        if position == expected:
            self._take(record)
        elif position < expected:
            self._late(record, position)
        elif following is not None and following < position and len(self._early) < MOST_COMPARED:
            self._early[position] = record
            said = f"{_name(record)} stands before position {expected}"
            self._find("moved", f"{said}; it was sealed at {position}.", record)
        else:
            self._skip_to(position)
            self._take(record)

    def _take(self, record: Record) -> None:
        self._check(record, self._link)
        self._position, self._link = record["position"], record["link"]
        self._last_id = record.get("id", record.get("event_id"))
        if early := self._early.pop(self._position + 1, None):
            self._take(early)

    def _skip_to(self, position: int) -> None:
        """Note that the positions before this one are not here, as far as they are not early."""
        while (expected := self._position + 1) < position:
            if early := self._early.pop(expected, None):
                self._take(early)
                continue
            until = min([position, *(each for each in self._early if each > expected)])
            self._gaps.append((expected, until - 1, self._last_id))
            self._position, self._link = until - 1, None
            self._odd_since_seal = True

    def _late(self, record: Record, position: int) -> None:
        for number, (first, last, after) in enumerate(self._gaps):
            if first <= position <= last:
                parts = [(first, position - 1, after), (position + 1, last, record.get("id"))]
                self._gaps[number : number + 1] = [part for part in parts if part[0] <= part[1]]
                self._check(record, None)
                said = f"{_name(record)} stands after position {self._position}"
                self._find("moved", f"{said}; it was sealed at {position}.", record)
                return
        self._find("inserted", f"{_name(record)} claims position {position} a second time.", record)

    def _check(self, record: Record, previous: str | None) -> None:
        """Compare one record with its digest, and its digest with its link."""
        self.report.sealed += 1
        if record["kind"] == "missing":
            self._misfit(Misfit("missing", record, previous))
        elif set(record) - KNOWN_FIELDS or digest_of(record) != record["digest"]:
            self._misfit(Misfit("content", record, previous))
        elif previous is not None and (
            link_of(previous, record["position"], record["digest"]) != record["link"]
        ):
            self._misfit(Misfit("link", record, previous))

    def _misfit(self, misfit: Misfit) -> None:
        self._odd_since_seal = True
        if len(self._misfits) < MOST_FINDINGS:
            self._misfits.append(misfit)
        else:
            self.report.more_findings += 1

    def _unsealed(self, record: Record) -> None:
        """An event without a place in the chain: too new, or put in behind the portal's back."""
        if self.report.whole and record["id"] <= self._settled_id:
            self._misfit(Misfit("unsealed", record))
        else:
            self.report.waiting += 1

    def _seal(self, record: Record, following: int | None) -> None:
        number, last = record["number"], record["last_position"]
        head_number, head_hash = self.report.head
        if number <= head_number:
            self._find("moved", f"Checkpoint {number} stands after seal {head_number}.")
            return
        if self._position < last:
            self._skip_to(last + 1)
            self._link = record["link"]
        in_turn = number == head_number + 1
        if not in_turn:
            self._find("deleted", f"Seals {head_number + 1} to {number - 1} are missing.")
        elif record["previous"] != head_hash or record["first_position"] != self._covered + 1:
            self._find("forged", f"Checkpoint {number} does not follow from seal {head_number}.")
        self._check_seal(record, number)
        self.report.head = (number, record["hash"])
        self._settled_id, self._covered = record["settled_id"], last
        self.report.last_sealed_id, self.report.last_position = self._last_id, last
        self._odd_since_seal = False
        if self._expected and self._expected[0] == number:
            if not hmac.compare_digest(record["hash"], self._expected[1]):
                self._find("forged", f"Checkpoint {number} is another than the one noted earlier.")
            self._expected = None

    def _check_seal(self, record: Record, number: int) -> None:
        span = f"positions {record['first_position']} to {record['last_position']}"
        if record["hash"] != hash_of("seal", record):
            self._find("forged", f"Checkpoint {number} ({span}) is not as it was made.")
        elif not self._odd_since_seal and self._link != record["link"]:
            said = f"The events of seal {number} ({span}, up to event {self._last_id})"
            self._find("edited", f"{said} are not those it was made for.")
        self._check_mac(record, f"Checkpoint {number} ({span})")

    def _check_mac(self, record: Record, what: str) -> None:
        key = self._keys.get(record["key_id"])
        if key is None:
            self._proven = False
        elif hmac.compare_digest(mac_of(key, record["hash"]), str(record["mac"])):
            self._proven = True
        else:
            self._find("forged", f"{what} was not made by the portal: its MAC is wrong.")

    # --- When all is read -----------------------------------------------------------------------
    def _finish(self) -> None:
        if self.report.whole:
            for position, record in sorted(self._early.items()):
                self._skip_to(position)
                self._take(record)
            for first, last, after in self._gaps:
                self._find_gap(first, last, after)
            if self._position > self._covered:
                said = f"Positions {self._covered + 1} to {self._position} (up to event {self._last_id})"
                why = "put in, or their seal was removed"
                self._find("inserted", f"{said} are covered by no seal: {why}.")
        self._name_misfits()
        self._finish_notes()

    def _find_gap(self, first: int, last: int, after: int | None) -> None:
        place = f"after event {after}" if after is not None else "at the beginning"
        what = f"Position {first}" if first == last else f"Positions {first} to {last}"
        self._find(
            "deleted", f"{what}, {place}, is gone with what was sealed there.", position=first
        )

    def _name_misfits(self) -> None:
        compared = self._misfits[:MOST_COMPARED]
        for misfit in self._misfits:
            if misfit.kind == "missing" and any(_same(other, misfit) for other in compared):
                continue  # the row that holds it is named as moved
            self._find(*_verdict_on(misfit, compared), record=misfit.record)

    def _finish_notes(self) -> None:
        report = self.report
        said, here = self._said_events, report.events
        if said is None:
            self._find("cut", "The end is missing: the file was cut off, or its last line removed.")
        elif said != here and report.ok:
            self._find("cut", f"The export says it holds {said} events; {here} are here.")
        if self._expected:
            number, last = self._expected[0], report.head[0]
            self._find(
                "cut", f"Checkpoint {number}, noted earlier, is not here; the last is {last}."
            )
        if not report.whole:
            report.notes.append(
                "This export is filtered. Its rows were checked one by one; rows that are missing, and "
                "rows whose marks were recomputed too, show in an export without filters only."
            )
        elif not self._keys:
            report.notes.append("No key was given: who made the seals was not checked.")
        elif not self._proven:
            self._find("forged", "The newest seal was made with a key that was not given.")

    def _find(
        self, kind: str, sentence: str, record: Record | None = None, position: int | None = None
    ) -> None:
        record = record or {}
        event_id = record.get("id", record.get("event_id"))
        self._odd_since_seal = True
        self.report.add(Finding(kind, sentence, event_id, record.get("position", position)))


def _name(record: Record) -> str:
    return f"Event {record.get('id', record.get('event_id'))}"


def _same(row: Misfit, place: Misfit) -> bool:
    """Is the row what was sealed at that place, under another number?"""
    kinds = (row.kind in {"content", "unsealed"}, place.kind in {"content", "missing"})
    if row is place or not all(kinds):
        return False
    return digest_of({**row.record, "id": place.event_id}) == str(place.record["digest"])


def _verdict_on(misfit: Misfit, others: list[Misfit]) -> tuple[str, str]:
    name, position = _name(misfit.record), misfit.record.get("position")
    if place := next((other for other in others if _same(misfit, other)), None):
        return "moved", f"{name} holds what was sealed as event {place.event_id}."
    if misfit.kind == "missing":
        return "deleted", f"{name}, sealed at position {position}, is gone."
    if misfit.kind == "unsealed":
        return "inserted", f"{name} was put in among events that had been sealed."
    if misfit.kind == "content":
        return "edited", f"{name}, at position {position}, is not what was sealed there."
    if place := next((other for other in others if _belongs(misfit, other)), None):
        was = place.record["position"]
        return "moved", f"{name} stands at position {position}; it was sealed at {was}."
    return "edited", (
        f"{name}, at position {position}, does not follow from what stands before it: one of the two "
        "was changed, and its mark too."
    )


def _belongs(misfit: Misfit, place: Misfit) -> bool:
    """Was this event sealed at that place? Asked when its content is right and its link is not."""
    if place is misfit or place.kind != "link" or place.previous is None:
        return False
    there = place.record
    found = link_of(place.previous, there["position"], misfit.record["digest"])
    return found == str(there["link"])


def with_next_position(records: Iterable[Record]) -> Iterator[tuple[Record, int | None]]:
    """Yield each record with the position of the next sealed event, None if none follows."""
    waiting: deque[Record] = deque()
    for record in records:
        waiting.append(record)
        position = record.get("position")
        if isinstance(position, int) and len(waiting) > 1:
            while len(waiting) > 1:
                yield waiting.popleft(), position
        elif len(waiting) > MOST_FINDINGS:
            yield waiting.popleft(), None
    while waiting:
        yield waiting.popleft(), None


# --- The command ---
def records_in(lines: Iterable[bytes]) -> Iterator[Record]:
    """Read JSON Lines. What cannot be read becomes a record that says so."""
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line, object_pairs_hook=_without_doubles, parse_constant=_refuse)
            if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
                raise ValueError("it is not a record of an export")
        except (ValueError, RecursionError) as error:
            record = {"kind": "unreadable", "line": number, "why": str(error)}
        yield record


def _without_doubles(pairs: list[tuple[str, Any]]) -> Record:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def parse_keys(texts: Iterable[str]) -> dict[str, bytes]:
    """Return ``{key id: key}`` from ``id:hex`` texts, or files with one on each line."""
    keys = {}
    for text in texts:
        lines = Path(text).read_text().splitlines() if Path(text).is_file() else [text]
        for line in filter(None, (line.strip() for line in lines)):
            key_id, _, encoded = line.partition(":")
            keys[key_id] = bytes.fromhex(encoded)
    return keys


def parse_expected(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, hashed = text.partition(":")
    if len(hashed) != 64:
        raise ValueError("write --expect as NUMBER:HASH, with the whole hash")
    return int(number), hashed


def lines_of(report: Report) -> Iterator[str]:
    """Say what was found, for people."""
    yield from map(str, report.findings)
    if report.more_findings:
        yield f"... and {report.more_findings} more."
    yield from report.notes
    yield f"{report.events} events, {report.sealed} of them sealed, {report.waiting} waiting."
    if report.whole:
        yield f"Sealed through event {report.last_sealed_id}. Last seal: {report.head[0]}:{report.head[1]}"
    yield "Nothing was found." if report.ok else f"{len(report.findings)} findings."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Verify an export of the audit log.")
    parser.add_argument("export", help="the JSON Lines file; - reads standard input")
    parser.add_argument(
        "--key", action="append", default=[], help="id:hex, or a file of such lines"
    )
    parser.add_argument("--expect", metavar="NUMBER:HASH", help="a seal noted earlier")
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
