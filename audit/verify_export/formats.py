"""What is hashed, and the lines of an export."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Record = dict[str, Any]

FORMAT = "apono-audit-1"
GENESIS = "0" * 64
_FIELD_NAMES = {
    "event": "id at event actor_id actor_label target_type target_id target_label request_id "
    "request_label address user_agent metadata",
    "checkpoint": "number first_position last_position settled_id created_at chain_hash "
    "previous_hash key_id",
    "stub": "first_position through_position through_checkpoint events previous_chain_hash chain_hash "
    "checkpoint_hash first_at last_at removed_at",
}
FIELDS = {kind: tuple(names.split()) for kind, names in _FIELD_NAMES.items()}
KNOWN_FIELDS = {
    *FIELDS["event"],
    *["kind", "position", "digest", "chain_hash", "previous_chain_hash"],
}


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun: "1 event", "2 events"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


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
