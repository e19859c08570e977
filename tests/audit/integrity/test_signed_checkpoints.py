"""A worker signs the chain's end regularly, and never a chain that was rewritten."""

import runpy
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, transaction
from django.utils import timezone

from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.retention import prune_log
from audit.integrity.signed_checkpoints import CheckpointSigner, latest_signed_checkpoint
from audit.integrity.signing_keys import public_keys, signing_key
from audit.integrity.verification import verify_log
from audit.models import Checkpoint, Event, SignedCheckpoint
from audit.services import record
from audit.verify_export.signed_notes import SigningKey, read_checkpoints, require_signature

pytestmark = pytest.mark.django_db
OTHER = SigningKey("portal.test/audit-log", b"x" * 32)


def chain(count: int) -> None:
    for _ in range(count):
        record(event=EventName.SESSION_SIGN_IN, actor=None)
    write_checkpoints(timezone.now())


def sizes() -> list[int]:
    return list(SignedCheckpoint.objects.order_by("size").values_list("size", flat=True))


def alarms() -> list[str]:
    events = Event.objects.filter(event=EventName.AUDIT_DETECT_TAMPERING).order_by("pk")
    return [event.metadata["reason"] for event in events]


@pytest.fixture
def signer(worker_key) -> CheckpointSigner:
    """A worker that has signed the first four events."""
    chain(4)
    signer = CheckpointSigner()
    assert signer(timezone.now()) == 1
    return signer


def test_a_checkpoint_states_origin_size_and_chain_hash(signer, worker_key):
    [checkpoint] = read_checkpoints(latest_signed_checkpoint().note)
    expected = ("portal.test/audit-log", 4, Checkpoint.objects.get().chain_hash)
    assert (checkpoint.origin, checkpoint.size, checkpoint.chain_hash) == expected
    assert require_signature(checkpoint.note, public_keys()) == worker_key.public_key
    assert verify_log().ok


def test_it_is_signed_after_some_minutes_or_events(signer, settings):
    now = timezone.now()
    assert signer(now + timedelta(hours=1)) == 0  # nothing is new
    chain(2)
    assert signer(now + timedelta(minutes=4)) == 0
    assert signer(now + timedelta(minutes=6)) == 1
    settings.AUDIT_CHECKPOINT_EVENTS = 3
    chain(2)
    assert signer(now + timedelta(minutes=6)) == 0
    chain(1)
    assert signer(now + timedelta(minutes=6)) == 1
    assert sizes() == [4, 6, 9]


def test_a_clock_that_goes_back_does_not_stop_it(signer):
    chain(1)
    assert signer(timezone.now() - timedelta(days=3)) == 1


def test_a_process_without_the_key_signs_nothing(signer, settings, worker_key):
    settings.AUDIT_SIGNING_KEY = ""
    chain(2)
    assert CheckpointSigner()(timezone.now() + timedelta(days=1)) == 0
    assert sizes() == [4]
    assert public_keys() == [worker_key.public_key]


def test_a_web_process_refuses_to_start_with_the_key(worker_key, settings):
    with pytest.raises(ImproperlyConfigured, match="for workers only"):
        runpy.run_module("apono_portal.wsgi")


def test_two_workers_leave_one_chain_of_checkpoints(signer):
    other = CheckpointSigner()
    later = timezone.now() + timedelta(minutes=6)
    chain(1)
    assert (other(later), signer(later)) == (1, 0)
    chain(1)
    assert signer(later + timedelta(minutes=6)) == 1
    assert sizes() == [4, 5, 6]


def test_a_rewritten_chain_is_not_signed_and_recorded_once(signer, sql, rebuild_chain):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = (SELECT min(id) FROM audit_event)")
    rebuild_chain()
    chain(1)
    later = timezone.now() + timedelta(minutes=6)
    for minutes in range(3):
        assert signer(later + timedelta(minutes=2 * minutes)) == 0
    assert alarms() == ["The first 4 events are not those that were signed."]
    assert sizes() == [4]


def test_deleting_the_checkpoints_does_not_make_a_worker_forget(signer, sql, rebuild_chain):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = (SELECT min(id) FROM audit_event)")
    sql("DELETE FROM audit_signedcheckpoint")
    rebuild_chain()
    assert signer(timezone.now()) == 0
    assert len(alarms()) == 1


def test_a_new_worker_compares_with_the_last_checkpoint(signer, sql, rebuild_chain):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = (SELECT min(id) FROM audit_event)")
    rebuild_chain()
    chain(1)
    assert CheckpointSigner()(timezone.now() + timedelta(minutes=6)) == 0
    assert len(alarms()) == 1


def test_a_chain_that_does_not_follow_from_what_was_signed_is_refused(signer, sql):
    chain(2)
    sql("UPDATE audit_chainentry SET chain_hash = %s WHERE position = 5", "0" * 64)
    assert signer(timezone.now() + timedelta(minutes=6)) == 0
    assert alarms() == ["The chain is broken at position 5."]


def test_a_log_with_fewer_events_than_were_signed_is_refused(signer, sql):
    sql("DELETE FROM audit_event WHERE id = (SELECT max(id) FROM audit_event)")
    sql("DELETE FROM audit_chainentry WHERE position = 4")
    sql("UPDATE audit_checkpoint SET last_position = 3")
    assert signer(timezone.now()) == 0
    assert "fewer than were signed" in alarms()[0]


@pytest.mark.parametrize("forger", [OTHER, None])
def test_a_forged_checkpoint_in_the_database_is_refused(signer, worker_key, forger):
    note = forger.sign(f"{OTHER.name}\n5\n{'A' * 43}=\n") if forger else "none"
    SignedCheckpoint.objects.create(size=5, created_at=timezone.now(), note=note)
    chain(2)
    assert CheckpointSigner()(timezone.now() + timedelta(minutes=6)) == 0
    assert "is not valid" in alarms()[0]
    assert not verify_log().ok


def test_the_chain_goes_on_after_retention(signer):
    chain(2)
    prune_log(before=timezone.now())
    assert sizes() == []
    chain(1)
    assert signer(timezone.now()) == 1
    assert verify_log().ok


def test_a_forged_stub_does_not_hide_what_was_signed(signer, sql):
    chain(2)
    stub = prune_log(before=timezone.now())
    chain(1)
    sql("UPDATE audit_retentionstub SET note = %s", stub.note.replace("portal", "other"))
    assert signer(timezone.now()) == 0
    assert "A retention stub is not valid" in alarms()[0]


def test_a_first_start_signs_a_log_that_exists(worker_key):
    chain(3)
    chain(2)
    assert CheckpointSigner()(timezone.now()) == 1
    assert sizes() == [5]


def test_a_first_start_signs_a_log_that_was_pruned(worker_key):
    chain(3)
    prune_log(before=timezone.now())
    chain(1)
    assert CheckpointSigner()(timezone.now()) == 1
    assert alarms() == []


@pytest.mark.parametrize("note", ["", "none"])
def test_a_new_worker_refuses_a_stub_that_no_worker_signed(signer, sql, note):
    chain(2)
    prune_log(before=timezone.now())
    chain(1)
    sql("UPDATE audit_retentionstub SET note = %s", note)
    assert sizes() == []
    assert CheckpointSigner()(timezone.now()) == 0
    assert "A retention stub is not valid" in alarms()[0]


def test_a_new_worker_refuses_a_log_without_its_beginning(signer, sql):
    chain(2)
    sql("DELETE FROM audit_signedcheckpoint")
    sql("DELETE FROM audit_chainentry WHERE position = 1")
    assert CheckpointSigner()(timezone.now()) == 0
    assert alarms() == ["The chain is broken at position 1."]


def test_a_former_key_still_verifies(signer, settings, worker_key):
    settings.AUDIT_SIGNING_KEY = str(OTHER)
    settings.AUDIT_PUBLIC_KEYS = [str(OTHER.public_key), str(worker_key.public_key)]
    chain(1)
    assert CheckpointSigner()(timezone.now() + timedelta(minutes=6)) == 1
    assert verify_log().ok
    settings.AUDIT_PUBLIC_KEYS = []
    assert ["no known key signed it" in str(f) for f in verify_log().findings] == [True]


def test_signed_checkpoints_cannot_be_changed(signer):
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
        SignedCheckpoint.objects.update(note="")
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
        SignedCheckpoint.objects.all().delete()


def test_a_key_is_read_from_a_file(tmp_path, settings):
    file = tmp_path / "key"
    file.write_text(f"{OTHER}\n")
    settings.AUDIT_SIGNING_KEY_FILE = str(file)
    assert signing_key() == OTHER


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"AUDIT_SIGNING_KEY": "x"}, "AUDIT_SIGNING_KEY: A signing key"),
        ({"AUDIT_SIGNING_KEY_FILE": "/nowhere"}, "cannot be read"),
        ({"AUDIT_SIGNING_KEY": "x", "AUDIT_SIGNING_KEY_FILE": "x"}, "not both"),
        ({"AUDIT_PUBLIC_KEYS": [str(OTHER)]}, "This is a signing key"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(settings, change, message):
    for name, value in change.items():
        setattr(settings, name, value)
    with pytest.raises(ImproperlyConfigured, match=message):
        public_keys()
