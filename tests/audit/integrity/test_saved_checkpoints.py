"""The attack: the web's keys and the database rewrite the log. Whoever kept a checkpoint notices."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apono_portal.core.crypto.keyring import chain_keys
from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.records import log_records, stub_record
from audit.integrity.retention import delete_covered, prune_log
from audit.integrity.signed_checkpoints import CheckpointSigner
from audit.models import Checkpoint, RetentionStub, SignedCheckpoint
from audit.services import record
from audit.verify_export.archive import verifier_archive
from audit.verify_export.formats import FORMAT, GENESIS, hash_of
from audit.verify_export.signed_notes import SigningKey, checkpoint_text, read_checkpoints
from audit.verify_export.verifier import Verifier

pytestmark = pytest.mark.django_db
DELETE_FIRST = "DELETE FROM audit_event WHERE id = (SELECT min(id) FROM audit_event)"
EDIT_FIRST = "UPDATE audit_event SET actor_id = 5 WHERE id = (SELECT min(id) FROM audit_event)"


def chain(count: int) -> None:
    for _ in range(count):
        record(event=EventName.MFA_REFUSE, actor=None)
    write_checkpoints(timezone.now())


@pytest.fixture
def saved(worker_key, settings, tmp_path) -> Path:
    """The checkpoints of 4 and 8 events out of 10, as an outsider keeps them."""
    settings.AUDIT_CHECKPOINT_EVENTS = 4
    for count in (4, 4, 2):
        chain(count)
        CheckpointSigner()(timezone.now())
    notes = SignedCheckpoint.objects.order_by("size").values_list("note", flat=True)
    file = tmp_path / "checkpoints.txt"
    file.write_text("\n".join(notes))
    return file


@pytest.fixture
def verify(saved, tmp_path, worker_key, capsys) -> Callable[..., str]:
    """Verify with the command and with the verifier of exports alone; return what both print."""
    program, export = tmp_path / "verify.pyz", tmp_path / "log.jsonl"
    program.write_bytes(verifier_archive())

    def verify(file: Path = saved) -> str:
        export.write_text("".join(f"{json.dumps(line)}\n" for line in log_records()))
        command = [sys.executable, "-I", str(program), str(export), "--checkpoint", str(file)]
        command += ["--public-key", str(worker_key.public_key)]
        for key_id, key in chain_keys().items():
            command += ["--key", f"{key_id}:{key.hex()}"]
        outside = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert outside.stderr == ""
        capsys.readouterr()
        try:
            call_command("audit", "verify", "--checkpoint", str(file))
            code = 0
        except SystemExit:
            code = 1
        printed = capsys.readouterr().out
        assert outside.returncode == code
        assert printed.splitlines()[:2] == outside.stdout.splitlines()[:2]
        return printed

    return verify


def test_an_untouched_log_matches(verify):
    printed = verify()
    assert "Saved checkpoints that match: 2 of 2." in printed
    assert "Nothing in the first 8 events has changed since." in printed
    assert "Signed checkpoints in the log cover 8 of 10 events." in printed
    assert "No tampering found." in printed


def test_an_edited_event_in_a_rebuilt_chain_is_seen(verify, sql, rebuild_chain):
    sql(EDIT_FIRST)
    sql("DELETE FROM audit_signedcheckpoint")
    rebuild_chain()
    printed = verify()
    assert "FORGED: The saved checkpoint of 4 events does not match this log" in printed
    assert "FORGED: The saved checkpoint of 8 events does not match this log" in printed
    assert "Saved checkpoints that match: 0 of 2." in printed


def test_an_edited_event_that_a_worker_chained_again_is_seen(verify, sql):
    """Needs no key at all: without the chain's rows, the next worker makes them anew."""
    signer = CheckpointSigner()
    chain(3)
    assert signer(timezone.now()) == 1
    sql(EDIT_FIRST)
    for table in ("chainentry", "checkpoint", "signedcheckpoint", "chainstate"):
        sql(f"DELETE FROM audit_{table}")
    chain(1)
    assert signer(timezone.now()) == 0  # it remembers what it signed
    assert "FORGED: The saved checkpoint of 4 events does not match this log" in verify()


def test_without_a_saved_checkpoint_the_one_in_the_log_shows_it(verify, sql, rebuild_chain, capsys):
    sql(EDIT_FIRST)
    rebuild_chain()
    with pytest.raises(SystemExit):
        call_command("audit", "verify")
    assert "The signed checkpoint of 4 events does not match" in capsys.readouterr().out


def test_an_edit_after_the_first_checkpoint_leaves_that_one_valid(verify, sql, rebuild_chain):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = (SELECT min(id) + 5 FROM audit_event)")
    sql("DELETE FROM audit_signedcheckpoint")
    rebuild_chain()
    printed = verify()
    assert "The saved checkpoint of 8 events does not match" in printed
    assert "Saved checkpoints that match: 1 of 2." in printed


def test_a_log_cut_off_at_the_end_is_seen(verify, sql, rebuild_chain):
    sql("DELETE FROM audit_event WHERE id > (SELECT min(id) + 4 FROM audit_event)")
    sql("DELETE FROM audit_chainentry WHERE position > 5")
    sql("DELETE FROM audit_checkpoint WHERE number > 2")
    sql("UPDATE audit_checkpoint SET last_position = 5 WHERE number = 2")
    sql("DELETE FROM audit_signedcheckpoint")
    rebuild_chain()
    assert "A saved checkpoint has 8 events, but this log has 5" in verify()


def test_a_missing_event_leaves_no_checkpoint_confirmed(verify, sql):
    sql(DELETE_FIRST)
    assert "The saved checkpoint of 4 events is not confirmed" in verify()


def forge_stub(through: int, note: str) -> None:
    checkpoint = Checkpoint.objects.get(last_position=through)
    stub = RetentionStub(
        first_position=1,
        through_position=through,
        through_checkpoint=checkpoint.number,
        events=through,
        previous_chain_hash=GENESIS,
        chain_hash=checkpoint.chain_hash,
        checkpoint_hash=checkpoint.hash,
        first_at=timezone.now(),
        last_at=timezone.now(),
        removed_at=timezone.now(),
        note=note,
    )
    stub.hash = hash_of("stub", stub_record(stub))
    stub.save(force_insert=True)


def test_101_events_deleted_behind_a_forged_stub_are_seen(verify, worker_key):
    chain(91)
    forge_stub(101, note=worker_key.sign(f"{worker_key.name} retention\n"))
    assert delete_covered() == 101
    chain(3)
    printed = verify()
    assert "FORGED: The retention stub for positions 1 to 101 is not accepted" in printed


def test_retention_leaves_a_saved_checkpoint_without_its_events(verify, settings):
    prune_log(before=timezone.now())
    chain(1)
    printed = verify()
    assert "The saved checkpoint of 8 events can no longer be compared" in printed
    assert "Saved checkpoints that match" not in printed
    assert "No tampering found." in printed


def test_a_checkpoint_at_the_end_of_what_was_removed_is_compared(verify, sql, worker_key, tmp_path):
    checkpoint = Checkpoint.objects.get(last_position=10)
    file = tmp_path / "last.txt"
    note = worker_key.sign(checkpoint_text(worker_key.name, 10, checkpoint.chain_hash))
    file.write_text(note)
    prune_log(before=timezone.now())
    assert "Saved checkpoints that match: 1 of 1." in verify(file)
    file.write_text(note.replace("\n10\n", "\n9\n"))
    assert "FORGED: The saved checkpoint of 9 events is not accepted" in verify(file)


def test_a_checkpoint_of_another_portal_does_not_count(verify, tmp_path):
    other = SigningKey("elsewhere/audit-log", b"x" * 32)
    file = tmp_path / "other.txt"
    file.write_text(other.sign(checkpoint_text(other.name, 4, "ab" * 32)))
    assert "is not accepted: no known key signed it" in verify(file)


def test_an_origin_other_than_the_keys_name_does_not_count(verify, tmp_path, worker_key):
    file = tmp_path / "other.txt"
    file.write_text(worker_key.sign(checkpoint_text("elsewhere", 4, "ab" * 32)))
    assert "is not accepted: its signature is for something else" in verify(file)


@pytest.mark.parametrize("text", ["", "nothing"])
def test_a_file_without_checkpoints_is_refused(saved, text):
    saved.write_text(text)
    with pytest.raises(CommandError, match="no signed checkpoint"):
        call_command("audit", "verify", "--checkpoint", str(saved))


def test_a_missing_file_is_refused():
    with pytest.raises(CommandError, match="nowhere"):
        call_command("audit", "verify", "--checkpoint", "nowhere")


def test_a_filtered_export_confirms_no_checkpoint(saved):
    header = {"kind": "export", "format": FORMAT, "whole": False}
    verifier = Verifier({}, saved=read_checkpoints(saved.read_text()))
    [finding] = verifier.run([header, {"kind": "end", "events": 0}]).findings
    assert "only with an export without filters" in finding.sentence


def test_checkpoints_are_compared_without_the_package_cryptography(saved, tmp_path):
    """Python alone compares hashes; to check a signature it says what to install."""
    program, export = tmp_path / "verify.pyz", tmp_path / "log.jsonl"
    program.write_bytes(verifier_archive())
    export.write_text("".join(f"{json.dumps(line)}\n" for line in log_records()))
    command = [sys.executable, "-I", "-S", str(program), str(export), "--checkpoint", str(saved)]
    alone = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Saved checkpoints that match: 2 of 2." in alone.stdout
    assert "No public key was given: signatures were not checked." in alone.stdout
    key = SigningKey("portal.test/audit-log", b"w" * 32).public_key
    command += ["--public-key", str(key)]
    alone = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (alone.returncode, "pip install cryptography" in alone.stderr) == (2, True)
