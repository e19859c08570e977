"""Retention removes old events, leaves a signed stub, and the chain still verifies."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from audit.events import EventName
from audit.integrity import retention, triggers
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.records import stub_record
from audit.integrity.retention import PruneRefused, delete_covered, prune_log
from audit.integrity.verification import verify_log
from audit.models import ChainEntry, Checkpoint, Event, RetentionStub
from audit.services import record
from audit.verify_export.formats import GENESIS, hash_of
from audit.verify_export.signed_notes import SigningKey, checkpoint_text, stub_text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("worker_key")]
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def log() -> dict[int, list[int]]:
    """Three events and a checkpoint in each of January to April."""
    numbers: dict[int, list[int]] = {}
    for month in range(1, 5):
        with time_machine.travel(datetime(2026, month, 10, tzinfo=UTC), tick=False):
            ids = [record(event=EventName.SESSION_SIGN_IN, actor=None).pk for _ in range(3)]
            write_checkpoints(timezone.now())
        numbers[month] = ids
    return numbers


def test_older_events_are_removed_and_a_stub_remains(log):
    stub = prune_log(before=MARCH)
    assert (stub.events, stub.through_position, stub.through_checkpoint) == (6, 6, 2)
    assert list(Event.objects.order_by("pk").values_list("pk", flat=True))[:6] == log[3] + log[4]
    assert not ChainEntry.objects.filter(position__lte=6).exists()
    assert Checkpoint.objects.count() == 2
    assert Event.objects.get(event=EventName.AUDIT_PRUNE).metadata["events"] == 6


def test_the_chain_verifies_before_and_after_further_checkpoints():
    prune_log(before=MARCH)
    assert verify_log().ok
    write_checkpoints(timezone.now())
    report = verify_log()
    assert report.ok
    assert "6 events" in report.notes[0]


def test_the_chain_continues_when_everything_was_removed():
    prune_log(before=timezone.now())
    assert Checkpoint.objects.count() == 0
    write_checkpoints(timezone.now())
    assert ChainEntry.objects.order_by("position").first().position == 13
    assert verify_log().ok


def test_a_second_stub_continues_the_first():
    first = prune_log(before=MARCH)
    stub = prune_log(before=MARCH + timedelta(days=31))
    assert (stub.first_position, stub.through_position, stub.events) == (7, 9, 3)
    assert stub.previous_chain_hash == first.chain_hash
    report = verify_log()
    assert report.ok
    assert [note[18:26] for note in report.notes[:2]] == ["6 events", "3 events"]


def test_without_the_workers_key_nothing_is_removed(settings):
    settings.AUDIT_SIGNING_KEY = ""
    with pytest.raises(PruneRefused, match="AUDIT_SIGNING_KEY"):
        prune_log(before=MARCH)
    assert Event.objects.count() == 12


def test_a_stub_does_not_count_without_a_public_key(settings):
    prune_log(before=MARCH)
    settings.AUDIT_SIGNING_KEY, settings.AUDIT_PUBLIC_KEYS = "", []
    assert "no public key" in verify_log().findings[0].sentence


def test_a_checkpoint_with_a_newer_event_stays_whole(log):
    with time_machine.travel(datetime(2026, 4, 20, tzinfo=UTC), tick=False):
        record(event=EventName.SESSION_SIGN_IN, actor=None)
        with time_machine.travel(datetime(2026, 6, 1, tzinfo=UTC), tick=False):
            record(event=EventName.SESSION_SIGN_IN, actor=None)
        write_checkpoints(timezone.now())
    assert prune_log(before=datetime(2026, 5, 1, tzinfo=UTC)).through_position == 12


def test_without_old_events_nothing_is_removed():
    assert prune_log(before=datetime(2025, 1, 1, tzinfo=UTC)) is None
    assert Event.objects.count() == 12
    assert not RetentionStub.objects.exists()


def test_a_date_in_the_future_is_refused():
    with pytest.raises(PruneRefused, match="future"):
        prune_log(before=timezone.now() + timedelta(days=1))


def test_an_interrupted_run_is_completed_by_the_next(monkeypatch):
    monkeypatch.setattr(retention, "delete_covered", lambda: 0)
    prune_log(before=MARCH)
    assert Event.objects.filter(at__lt=MARCH).count() == 6
    assert verify_log().ok
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    assert delete_covered() == 6
    assert verify_log().ok


def refused(sql: str) -> None:
    with (
        pytest.raises(DatabaseError, match="the audit log cannot be changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)


def test_the_stub_allows_deleting_only_what_it_covers(log):
    prune_log(before=MARCH)
    refused(f"DELETE FROM audit_event WHERE id = {log[3][0]}")
    refused("DELETE FROM audit_event WHERE event = 'audit:prune'")
    refused("DELETE FROM audit_checkpoint WHERE number = 3")
    assert Event.objects.filter(pk=log[3][0]).exists()


def test_entries_and_checkpoints_can_be_deleted_only_after_their_events(monkeypatch):
    monkeypatch.setattr(retention, "delete_covered", lambda: 0)
    prune_log(before=MARCH)
    refused("DELETE FROM audit_chainentry WHERE position = 1")
    refused("DELETE FROM audit_checkpoint WHERE number = 1")
    delete_covered()
    assert Event.objects.filter(at__lt=MARCH).count() == 0


def test_an_entry_no_stub_covers_cannot_be_deleted(log):
    prune_log(before=MARCH)
    triggers.run(connection, triggers.remove_sql(connection.vendor, ["audit_event"]))
    Event.objects.filter(pk=log[3][0]).delete()
    refused(f"DELETE FROM audit_chainentry WHERE event_id = {log[3][0]}")


def test_events_covered_by_a_stub_cannot_be_edited(monkeypatch):
    monkeypatch.setattr(retention, "delete_covered", lambda: 0)
    prune_log(before=MARCH)
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
        Event.objects.filter(at__lt=MARCH).update(actor_label="Nobody")


@pytest.mark.parametrize(
    ("column", "value"), [("events", 1), ("chain_hash", "0" * 64), ("note", "none")]
)
def test_an_edited_stub_is_found(column, value):
    prune_log(before=MARCH)
    triggers.run(connection, triggers.remove_sql(connection.vendor))
    RetentionStub.objects.update(**{column: value})
    assert "forged" in [finding.kind for finding in verify_log().findings]


def forged_stub(key: SigningKey | None = None, **fields: object) -> RetentionStub:
    """Insert a stub, as consistent as an attacker can make it without a key, and delete what it covers."""
    checkpoint = Checkpoint.objects.get(number=2)
    values = {
        "first_position": 1,
        "through_position": 6,
        "through_checkpoint": 2,
        "events": 6,
        "previous_chain_hash": GENESIS,
        "chain_hash": checkpoint.chain_hash,
        "checkpoint_hash": checkpoint.hash,
        "first_at": MARCH,
        "last_at": MARCH,
        "removed_at": MARCH,
        "note": "",
    }
    stub = RetentionStub(**{**values, **fields})
    stub.hash = hash_of("stub", stub_record(stub))
    if key:
        stub.note = key.sign(stub_text(key.name, {**stub_record(stub), "hash": stub.hash}))
    stub.save(force_insert=True)
    delete_covered()
    return stub


def test_a_stub_without_a_signature_is_found():
    forged_stub()
    [finding] = verify_log().findings
    assert (finding.kind, "no known key" in finding.sentence) == ("forged", True)


def test_a_stub_signed_with_another_key_is_found():
    forged_stub(SigningKey("portal.test/audit-log", b"x" * 32))
    assert "no known key" in verify_log().findings[0].sentence


def test_a_stub_that_does_not_continue_the_one_before_is_found(worker_key):
    prune_log(before=datetime(2026, 2, 1, tzinfo=UTC))
    forged_stub(worker_key, first_position=4, events=3)
    assert "does not fit" in verify_log().findings[0].sentence


def test_a_genuine_signature_of_another_stub_is_found():
    genuine = prune_log(before=datetime(2026, 2, 1, tzinfo=UTC))
    checkpoint = Checkpoint.objects.get(number=2)
    forged_stub(
        first_position=4,
        events=3,
        previous_chain_hash=genuine.chain_hash,
        chain_hash=checkpoint.chain_hash,
        note=genuine.note,
    )
    assert "for something else" in verify_log().findings[0].sentence


def test_a_checkpoint_is_no_signature_of_a_stub(worker_key):
    checkpoint = Checkpoint.objects.get(number=2)
    forged_stub(note=worker_key.sign(checkpoint_text(worker_key.name, 6, checkpoint.chain_hash)))
    assert "for something else" in verify_log().findings[0].sentence


def test_the_command_prunes(capsys):
    call_command("audit", "prune", "--before", "2026-03-01")
    assert "6 events" in capsys.readouterr().out
    call_command("audit", "prune", "--before", "2026-03-01")
    assert "No events are old enough" in capsys.readouterr().out


def test_the_command_does_not_prune_a_log_that_does_not_verify(log):
    triggers.run(connection, triggers.remove_sql(connection.vendor))
    Event.objects.filter(pk=log[1][0]).delete()
    with pytest.raises(CommandError, match="Verification failed"):
        call_command("audit", "prune", "--before", "2026-03-01")
    assert not RetentionStub.objects.exists()


def test_the_command_verifies_and_lists_findings(log, capsys):
    call_command("audit", "verify")
    assert "No tampering found." in capsys.readouterr().out
    triggers.run(connection, triggers.remove_sql(connection.vendor))
    Event.objects.filter(pk=log[2][1]).update(actor_id=9)
    with pytest.raises(SystemExit):
        call_command("audit", "verify")
    assert f"EDITED: Event {log[2][1]}" in capsys.readouterr().out


@pytest.mark.parametrize("expect", ["x", "3", "3:abc"])
def test_the_command_refuses_an_invalid_checkpoint(expect):
    with pytest.raises(CommandError):
        call_command("audit", "verify", "--expect", expect)


def test_the_command_writes_a_file_that_verifies_with_the_key_it_prints(tmp_path, capsys):
    from audit.verify_export.command import main

    file, keys = tmp_path / "log.jsonl", tmp_path / "keys"
    call_command("audit", "export", str(file))
    capsys.readouterr()
    call_command("audit", "key")
    keys.write_text(capsys.readouterr().out)
    assert main([str(file), "--key", str(keys)]) == 0
    with pytest.raises(CommandError, match="Cannot write"):
        call_command("audit", "export", str(file))
