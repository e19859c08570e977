"""Events that are missing or do not fit, and what happened to each."""

from dataclasses import dataclass

from audit.verify_export.formats import Record, chain_hash_of, digest_of

MAX_COMPARED = 200  # mismatches that are compared with each other to find moved events


@dataclass(frozen=True)
class Mismatch:
    """A position whose event is missing or does not fit, kept until all of them are compared."""

    kind: str
    record: Record
    previous: str | None = None

    @property
    def event_id(self) -> int:
        return int(self.record["event_id" if self.kind == "missing" else "id"])


def name_of(record: Record) -> str:
    return f"Event {record.get('id', record.get('event_id'))}"


def is_same(event: Mismatch, entry: Mismatch) -> bool:
    """Return whether the event is what was recorded at that entry, under another id."""
    kinds = (event.kind in {"content", "unchained"}, entry.kind in {"content", "missing"})
    if event is entry or not all(kinds):
        return False
    return digest_of({**event.record, "id": entry.event_id}) == str(entry.record["digest"])


def classify(mismatch: Mismatch, others: list[Mismatch]) -> tuple[str, str]:
    name, position = name_of(mismatch.record), mismatch.record.get("position")
    if entry := next((other for other in others if is_same(mismatch, other)), None):
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
