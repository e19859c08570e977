"""The verifier reads any file: moved, repeated, edited or missing lines are named, and nothing crashes it."""

import json
import random
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from audit.verify_export.command import main
from audit.verify_export.formats import (
    FORMAT,
    GENESIS,
    Record,
    chain_hash_of,
    hash_of,
    mac_of,
    records_in,
)
from audit.verify_export.report import Finding, Report, lines_of
from audit.verify_export.verifier import Verifier

KEYS = {"k1": b"k" * 32}
AT = "2026-05-31T14:18:09.000000+00:00"


def export(events: int, per_checkpoint: int = 4) -> Iterator[Record]:
    """A whole export, made without the portal."""
    yield {"kind": "export", "format": FORMAT, "whole": True}
    chain_hash, previous_hash = GENESIS, GENESIS
    for position in range(1, events + 1):
        event = {"id": position + 100, "at": AT, "event": "mfa:verify", "actor_id": position % 7}
        event |= {"actor_label": "Zoë", "target_type": "", "target_id": "", "target_label": ""}
        event |= {"request_id": None, "request_label": "", "address": None, "user_agent": ""}
        event["metadata"] = {"n": position, "f": 0.1}
        digest = hash_of("event", event)
        chain_hash = chain_hash_of(chain_hash, position, digest)
        hashes = {"digest": digest, "chain_hash": chain_hash}
        yield {"kind": "event", "position": position, **event, **hashes}
        if position % per_checkpoint == 0 or position == events:
            fields = {
                "number": -(-position // per_checkpoint),
                "first_position": (position - 1) // per_checkpoint * per_checkpoint + 1,
                "last_position": position,
                "settled_id": position + 100,
                "created_at": AT,
                "chain_hash": chain_hash,
                "previous_hash": previous_hash,
                "key_id": "k1",
            }
            previous_hash = hash_of("checkpoint", fields)
            mac = mac_of(KEYS["k1"], previous_hash)
            yield {"kind": "checkpoint", **fields, "hash": previous_hash, "mac": mac}
    yield {"kind": "end", "events": events}


def verified(records: list[Record] | Iterator[Record]) -> list[str]:
    return [f"{finding.kind} {finding.event_id}" for finding in report_on(records).findings]


def report_on(records: list[Record] | Iterator[Record]) -> Report:
    return Verifier(KEYS).run(records)


def place_of(records: list[Record], event_id: int) -> int:
    return next(n for n, record in enumerate(records) if record.get("id") == event_id)


@pytest.fixture
def lines() -> list[Record]:
    return list(export(20))


def test_an_untouched_export_verifies(lines):
    report = report_on(lines)
    assert (report.ok, report.events, report.last_event_id, report.last_checkpoint[0]) == (
        True,
        20,
        120,
        5,
    )


def test_one_of_something_is_not_many() -> None:
    lines = list(lines_of(Report(events=1, findings=[Finding("edited", "One.")])))
    assert lines[1].startswith("1 event: ")
    assert lines[-1] == "1 finding."
    assert next(iter(lines_of(Report(events=2)))).startswith("2 events: ")


@pytest.mark.parametrize(("event_id", "before"), [(105, 115), (115, 105), (107, 108), (108, 107)])
def test_a_line_that_was_moved_is_named(lines, event_id, before):
    line = lines.pop(place_of(lines, event_id))
    lines.insert(place_of(lines, before), line)
    if (event_id, before) == (107, 108):
        assert verified(lines) == []  # where it was
    else:
        assert verified(lines) == [f"moved {event_id}"]


def test_a_line_moved_behind_its_checkpoint_is_named(lines):
    line = lines.pop(place_of(lines, 104))
    lines.insert(place_of(lines, 109), line)
    assert verified(lines) == ["moved 104"]


def test_lines_that_were_exchanged_are_named(lines):
    one, other = place_of(lines, 103), place_of(lines, 114)
    lines[one], lines[other] = lines[other], lines[one]
    assert sorted(verified(lines)) == ["moved 103", "moved 114"]


def test_lines_exchanged_with_their_positions_are_named(lines):
    one, other = place_of(lines, 106), place_of(lines, 107)
    lines[one], lines[other] = (
        {**lines[other], **{name: lines[one][name] for name in ("position", "chain_hash")}},
        {**lines[one], **{name: lines[other][name] for name in ("position", "chain_hash")}},
    )
    assert sorted(verified(lines)) == ["moved 106", "moved 107"]


def test_a_repeated_line_is_named(lines):
    lines.insert(12, lines[place_of(lines, 103)])
    assert "inserted 103" in verified(lines)


def test_a_deleted_line_is_named_by_position(lines):
    del lines[place_of(lines, 108)]
    [finding] = report_on(lines).findings
    assert (finding.kind, finding.position) == ("deleted", 8)
    assert "after event 107" in finding.sentence


def test_lines_deleted_at_the_end_are_named(lines):
    rest = [record for record in lines if record.get("position", 0) < 18]
    assert [finding.position for finding in report_on(rest).findings] == [18]


@pytest.mark.parametrize(
    "change",
    [
        {"actor_label": "Zoé"},
        {"metadata": {"n": 5, "f": 0.1, "more": 1}},
        {"actor_id": "5"},
        {"id": 105.0},
        {"note": "added"},
        {"metadata": {"n": True, "f": 0.1}},
    ],
)
def test_an_edited_line_is_named(lines, change):
    lines[place_of(lines, 105)] |= change
    [finding] = report_on(lines).findings
    assert finding.kind == "edited"
    assert "105" in finding.sentence


def test_a_file_without_its_end_is_named(lines):
    assert verified(lines[:-1]) == ["truncated None"]


def test_a_line_with_a_repeated_key_is_refused():
    [record] = records_in([b'{"kind": "event", "actor_label": "Eve", "actor_label": "Zoe"}'])
    assert record["kind"] == "unreadable"


@pytest.mark.parametrize("line", [b"{", b"[]", b"5", b"\xff", b"", b'{"kind": 1}', b'{"x": NaN}'])
def test_a_line_that_cannot_be_read_is_named(line):
    [record] = records_in([line])
    report = report_on([record])
    assert "Line 1 cannot be read" in report.findings[0].sentence


def test_a_filtered_export_is_checked_row_by_row(lines):
    rows = [{**record} for record in lines if record.get("position") in (3, 9)]
    for row, before in zip(rows, (2, 8), strict=True):
        row["previous_chain_hash"] = lines[place_of(lines, 100 + before)]["chain_hash"]
    wrapped = [{**lines[0], "whole": False}, *rows, {"kind": "end", "events": 2}]
    report = report_on(wrapped)
    assert report.ok
    assert "filtered" in report.notes[0]
    rows[1]["actor_id"] = 99
    assert verified(wrapped) == ["edited 109"]


def mangled(records: list[Record], chance: random.Random) -> list[Record]:
    """Change one thing somewhere."""
    place = chance.randrange(len(records))
    record = records[place]
    way = chance.choice(["drop", "double", "swap", "edit", "lose"])
    if way == "drop":
        return records[:place] + records[place + 1 :]
    if way == "double":
        return [*records[: place + 1], record, *records[place + 1 :]]
    if way == "swap":
        other = (place + chance.randrange(1, len(records))) % len(records)
        changed = list(records)
        changed[place], changed[other] = changed[other], changed[place]
        return changed
    key = chance.choice(sorted(record))
    odd = chance.choice([None, 0, -1, "x", [], {}, 1e300, True, 2**70])
    new = {k: v for k, v in record.items() if k != key}
    return [*records[:place], new if way == "lose" else {**new, key: odd}, *records[place + 1 :]]


# These lines are not part of the chain.
HARMLESS = {"export", "end"}


@pytest.mark.parametrize("seed", range(300))
def test_every_change_of_a_file_is_found(lines, seed):
    changed = mangled(lines, random.Random(seed))
    if (
        changed == lines
        or [record for record in changed if str(record.get("kind")) not in HARMLESS] == lines[1:-1]
    ):
        return
    text = [f"{json.dumps(record)}\n".encode() for record in changed]
    assert not report_on(records_in(text)).ok


def test_memory_is_bounded():
    tracemalloc.start()
    report_on(export(2_000, per_checkpoint=100))
    _, small = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    report_on(export(20_000, per_checkpoint=100))
    _, large = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert large < small * 1.5


@pytest.fixture
def command(tmp_path, lines) -> Callable[..., int]:
    path = tmp_path / "export.jsonl"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in lines))
    return lambda *more: main([str(path), *more])


def test_the_command_takes_keys_from_a_file(command, tmp_path, capsys):
    keys = tmp_path / "keys"
    keys.write_text(f"k1:{KEYS['k1'].hex()}\n")
    assert command("--key", str(keys)) == 0
    assert "No tampering found." in capsys.readouterr().out
    assert command("--key", f"k1:{'00' * 32}") == 1
    assert "MAC is wrong" in capsys.readouterr().out


@pytest.mark.parametrize("more", [["--key", "k1:xyz"], ["--expect", "3:abc"]])
def test_the_command_refuses_invalid_arguments(command, capsys, more):
    assert command(*more) == 2
    assert capsys.readouterr().err


def test_a_missing_file_gets_an_error_message(capsys):
    assert main(["nowhere.jsonl"]) == 2
    assert "nowhere.jsonl" in capsys.readouterr().err
