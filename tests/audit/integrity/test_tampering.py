"""Events and chain entries changed with SQL are found and named, by both verifiers."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from apono_portal.core.crypto.keyring import chain_keys
from audit.events import EventName
from audit.integrity import triggers
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.records import checkpoint_record, event_record, log_records
from audit.integrity.verification import verify_log
from audit.models import ChainEntry, Checkpoint, Event
from audit.services import record
from audit.verify_export.archive import FILENAME, verifier_archive
from audit.verify_export.formats import FIELDS, GENESIS, chain_hash_of, hash_of
from audit.verify_export.report import Finding, Report

pytestmark = pytest.mark.django_db

Findings = list[tuple[str, str]]


@pytest.fixture
def log() -> list[int]:
    """Twelve events under three checkpoints, and no triggers."""
    numbers = []
    for turn in range(3):
        for step in range(4):
            metadata = {"turn": turn, "step": step, "verification": 7}
            numbers.append(record(event=EventName.MFA_VERIFY, actor=None, metadata=metadata).pk)
        write_checkpoints(timezone.now())
    triggers.run(connection, triggers.remove_sql(connection.vendor))
    return numbers


def sql(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def live() -> Report:
    return verify_log()


@pytest.fixture
def exported(tmp_path) -> Callable[..., Report]:
    """Verify an export of the log as it is now, by the script alone. ``key=False`` gives it none."""

    def verify(*, key: bool = True, expect: str = "") -> Report:
        path = tmp_path / "export.jsonl"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in log_records()))
        return by_script(path, key=key, expect=expect)

    return verify


def by_script(path: Path, *, key: bool = True, expect: str = "") -> Report:
    """Run the script in a Python without packages; return its output as a report."""
    program = path.with_name(FILENAME)
    program.write_bytes(verifier_archive())
    command = [sys.executable, "-I", "-S", str(program), str(path)]
    for key_id, secret in chain_keys().items() if key else ():
        command += ["--key", f"{key_id}:{secret.hex()}"]
    command += ["--expect", expect] if expect else []
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.stderr == ""
    findings = re.findall(r"^([A-Z]+): (.*)$", answer.stdout, re.MULTILINE)
    assert answer.returncode == (1 if findings else 0)
    report = Report()
    for kind, sentence in findings:
        report.add(Finding(kind.lower(), sentence))
    return report


def named(report: Report) -> Findings:
    """Return kind and the first number of each finding's sentence."""
    return [(finding.kind, re.findall(r"\d+", finding.sentence)[0]) for finding in report.findings]


def both(exported: Callable[..., Report]) -> Findings:
    """Return what both verifiers name; they must agree."""
    by_file = named(exported())
    assert named(live()) == by_file
    return by_file


def test_an_untouched_log_verifies(log, exported):
    assert both(exported) == []


@pytest.mark.parametrize("column", ["actor_label", "event", "target_id", "user_agent", "at"])
def test_an_edited_row_is_named(log, exported, column):
    value = "2020-01-01 00:00:00+00:00" if column == "at" else "session:lock_out"
    sql(f"UPDATE audit_event SET {column} = %s WHERE id = %s", value, log[5])
    assert both(exported) == [("edited", str(log[5]))]


def test_an_edit_within_metadata_is_named(log, exported):
    sql("UPDATE audit_event SET metadata = %s WHERE id = %s", '{"step": 9}', log[0])
    assert both(exported) == [("edited", str(log[0]))]


def test_each_of_several_edited_rows_is_named(log, exported):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id IN (%s, %s)", log[2], log[11])
    assert both(exported) == [("edited", str(log[2])), ("edited", str(log[11]))]


@pytest.mark.parametrize("place", [0, 3, 6, 11])
def test_a_deleted_row_is_named(log, exported, place):
    sql("DELETE FROM audit_event WHERE id = %s", log[place])
    assert both(exported) == [("deleted", str(log[place]))]


@pytest.mark.parametrize("place", [0, 3, 6, 11])
def test_a_row_deleted_with_its_chain_entry_is_named_by_position(log, exported, place):
    sql("DELETE FROM audit_event WHERE id = %s", log[place])
    sql("DELETE FROM audit_chainentry WHERE event_id = %s", log[place])
    assert both(exported) == [("deleted", str(place + 1))]


def test_rows_deleted_with_checkpoint_and_chain_entries_are_named(log, exported):
    sql("DELETE FROM audit_event WHERE id BETWEEN %s AND %s", log[4], log[7])
    sql("DELETE FROM audit_chainentry WHERE position BETWEEN 5 AND 8")
    sql("DELETE FROM audit_checkpoint WHERE number = 2")
    assert sorted(both(exported)) == [("deleted", "2"), ("deleted", "5")]


def inserted(number: int) -> None:
    names = [name for name in FIELDS["event"] if name != "id"]
    columns = ", ".join(names)
    sql(
        f"INSERT INTO audit_event (id, {columns}) SELECT %s, {columns} FROM audit_event "
        "WHERE id = (SELECT min(id) FROM audit_event)",
        number,
    )


def test_a_row_inserted_under_an_unused_id_is_named(log, exported):
    """Transactions that roll back leave ids unused."""
    Event.objects.bulk_create([Event(pk=log[-1] + 2000, event="mfa:verify", actor_label="Zoe")])
    write_checkpoints(timezone.now())
    inserted(log[-1] + 1000)
    assert both(exported) == [("inserted", str(log[-1] + 1000))]


def test_a_row_newer_than_the_last_checkpoint_is_no_finding(log, exported):
    record(event=EventName.MFA_VERIFY, actor=None)
    assert both(exported) == []


def test_a_row_inserted_with_an_entry_no_checkpoint_covers_is_named(log, exported):
    inserted(log[-1] + 1000)
    values = (13, log[-1] + 1000, "0" * 64, "0" * 64)
    sql("INSERT INTO audit_chainentry VALUES (%s, %s, %s, %s)", *values)
    assert [kind for kind, _ in both(exported)] == ["inserted", "edited"]


def test_rows_that_exchanged_ids_are_named_as_moved(log, exported):
    for now, then in ((log[2], -1), (log[9], log[2]), (-1, log[9])):
        sql("UPDATE audit_event SET id = %s WHERE id = %s", then, now)
    assert both(exported) == [("moved", str(log[2])), ("moved", str(log[9]))]


def test_a_row_under_a_new_id_is_named_as_moved(log, exported):
    sql("UPDATE audit_event SET id = -3 WHERE id = %s", log[2])
    assert both(exported) == [("moved", "3")]


def test_entries_that_were_exchanged_are_named_as_moved(log, exported):
    one, other = (ChainEntry.objects.get(event_id=log[place]) for place in (5, 10))
    sql("UPDATE audit_chainentry SET event_id = -1 WHERE position = %s", one.position)
    for position, entry in ((other.position, one), (one.position, other)):
        sql(
            "UPDATE audit_chainentry SET event_id = %s, digest = %s WHERE position = %s",
            entry.event_id,
            entry.digest,
            position,
        )
    assert both(exported) == [("moved", str(log[10])), ("moved", str(log[5]))]


def forge(place: int, *, until: int) -> None:
    """Rewrite digests and chain hashes from an entry on, as an attacker without the key can."""
    entries = ChainEntry.objects.order_by("position")
    chain_hash = entries[place - 1].chain_hash if place else GENESIS
    for entry in entries[place:until]:
        values = Event.objects.values(*FIELDS["event"]).get(pk=entry.event_id)
        digest = hash_of("event", event_record(values))
        chain_hash = chain_hash_of(chain_hash, entry.position, digest)
        update = "UPDATE audit_chainentry SET digest = %s, chain_hash = %s WHERE position = %s"
        sql(update, digest, chain_hash, entry.position)


def forge_checkpoints(first: int) -> None:
    """Rewrite checkpoints from one on, as well as an attacker without the key can."""
    for checkpoint in Checkpoint.objects.filter(number__gte=first).order_by("number"):
        earlier = Checkpoint.objects.filter(number=checkpoint.number - 1).first()
        last_entry = ChainEntry.objects.get(position=checkpoint.last_position)
        checkpoint.previous_hash = earlier.hash if earlier else GENESIS
        checkpoint.chain_hash = last_entry.chain_hash
        checkpoint.hash = hash_of("checkpoint", checkpoint_record(checkpoint))
        checkpoint.save()


def test_an_edit_with_recomputed_hashes_shows_at_the_next_row(log, exported):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = %s", log[4])
    forge(4, until=5)
    assert both(exported) == [("edited", str(log[5]))]


def test_an_edit_with_hashes_recomputed_to_the_end_shows_at_the_checkpoint(log, exported):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = %s", log[4])
    forge(4, until=12)
    assert both(exported) == [("edited", "2"), ("edited", "3")]


def test_a_chain_rewritten_without_the_key_is_found(log, exported):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = %s", log[4])
    forge(4, until=12)
    noted = Checkpoint.objects.get(number=3)
    forge_checkpoints(2)
    assert both(exported) == [("forged", "2"), ("forged", "3")]
    assert named(exported(key=False)) == []
    assert named(exported(key=False, expect=f"3:{noted.hash}")) == [("forged", "3")]


def test_checkpoints_rewritten_under_an_unknown_key_are_found(log, exported):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = %s", log[4])
    forge(4, until=12)
    sql("UPDATE audit_checkpoint SET key_id = 'zz' WHERE number >= 2")
    forge_checkpoints(2)
    assert [finding.kind for finding in exported().findings] == ["forged"]
    assert not live().ok


def test_one_checkpoint_rewritten_without_the_key_shows_at_the_next(log, exported):
    sql("UPDATE audit_checkpoint SET created_at = '2020-01-01 00:00:00+00:00' WHERE number = 2")
    hashed = hash_of("checkpoint", checkpoint_record(Checkpoint.objects.get(number=2)))
    sql("UPDATE audit_checkpoint SET hash = %s WHERE number = 2", hashed)
    assert named(exported(key=False)) == [("forged", "3")]
    assert both(exported) == [("forged", "2"), ("forged", "3")]


@pytest.mark.parametrize("number", [1, 2])
def test_a_deleted_checkpoint_is_named(log, exported, number):
    sql("DELETE FROM audit_checkpoint WHERE number = %s", number)
    assert both(exported) == [("deleted", str(number))]


def test_rows_under_a_deleted_last_checkpoint_are_named(log, exported):
    sql("DELETE FROM audit_checkpoint WHERE number = 3")
    assert both(exported) == [("inserted", "9")]


@pytest.mark.parametrize("column", ["settled_id", "first_position", "created_at", "previous_hash"])
def test_an_edited_checkpoint_is_named(log, exported, column):
    value = {"created_at": "2020-01-01 00:00:00+00:00", "previous_hash": "0" * 64}.get(column, 1)
    sql(f"UPDATE audit_checkpoint SET {column} = %s WHERE number = 2", value)
    assert ("forged", "2") in both(exported)


def test_a_truncated_log_is_found_by_a_checkpoint_noted_before(log, exported):
    noted = Checkpoint.objects.get(number=3)
    assert live().ok
    for statement in (
        "DELETE FROM audit_event WHERE id >= %s",
        "DELETE FROM audit_chainentry WHERE event_id >= %s",
    ):
        sql(statement, log[8])
    sql("DELETE FROM audit_checkpoint WHERE number = 3")
    assert named(live()) == [("truncated", "3")]
    assert named(exported(key=False)) == []
    assert named(exported(expect=f"3:{noted.hash}")) == [("truncated", "3")]
