"""Sealed rows changed with SQL behind the portal's back are found and named, by both verifiers."""

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
from audit import verify_export
from audit.events import EventName
from audit.integrity import triggers
from audit.integrity.chain import checkpoint_record, event_record
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.verification import log_records, verify_log
from audit.models import ChainEntry, Checkpoint, Event
from audit.services import record
from audit.verify_export import FIELDS, GENESIS, Report, chain_hash_of, hash_of

pytestmark = pytest.mark.django_db

SCRIPT = Path(verify_export.__file__)
Told = list[tuple[str, str]]


@pytest.fixture
def log() -> list[int]:
    """Twelve events in three seals, and nothing in the way of changing them."""
    numbers = []
    for turn in range(3):
        for step in range(4):
            told = {"turn": turn, "step": step, "verification": 7}
            numbers.append(record(event=EventName.MFA_VERIFY, actor=None, metadata=told).pk)
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
        path.write_text("".join(f"{json.dumps(each)}\n" for each in log_records()))
        return by_script(path, key=key, expect=expect)

    return verify


def by_script(path: Path, *, key: bool = True, expect: str = "") -> Report:
    """Run the script in a Python that sees no packages; return what it said, as a report."""
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(path)]
    for key_id, secret in chain_keys().items() if key else ():
        command += ["--key", f"{key_id}:{secret.hex()}"]
    command += ["--expect", expect] if expect else []
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.stderr == ""
    said = re.findall(r"^([A-Z]+): (.*)$", answer.stdout, re.MULTILINE)
    assert answer.returncode == (1 if said else 0)
    report = Report()
    for kind, sentence in said:
        report.add(verify_export.Finding(kind.lower(), sentence))
    return report


def named(report: Report) -> Told:
    """Return kind and the first number of each finding's sentence."""
    return [(each.kind, re.findall(r"\d+", each.sentence)[0]) for each in report.findings]


def both(exported: Callable[..., Report]) -> Told:
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
def test_a_row_deleted_with_its_place_is_named_by_its_position(log, exported, place):
    sql("DELETE FROM audit_event WHERE id = %s", log[place])
    sql("DELETE FROM audit_chainentry WHERE event_id = %s", log[place])
    assert both(exported) == [("deleted", str(place + 1))]


def test_a_run_of_rows_deleted_with_seal_and_places_is_named(log, exported):
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


def test_a_row_put_in_where_a_number_was_free_is_named(log, exported):
    """Numbers are left free by transactions that are rolled back."""
    Event.objects.bulk_create([Event(pk=log[-1] + 2000, event="mfa:verify", actor_label="Zoe")])
    write_checkpoints(timezone.now())
    inserted(log[-1] + 1000)
    assert both(exported) == [("inserted", str(log[-1] + 1000))]


def test_a_row_that_is_only_newer_than_the_last_seal_waits(log, exported):
    record(event=EventName.MFA_VERIFY, actor=None)
    assert both(exported) == []


def test_a_row_put_in_with_a_place_no_seal_covers_is_named(log, exported):
    inserted(log[-1] + 1000)
    values = (13, log[-1] + 1000, "0" * 64, "0" * 64)
    sql("INSERT INTO audit_chainentry VALUES (%s, %s, %s, %s)", *values)
    assert [kind for kind, _ in both(exported)] == ["inserted", "edited"]


def test_rows_that_changed_numbers_are_named_as_moved(log, exported):
    for now, then in ((log[2], -1), (log[9], log[2]), (-1, log[9])):
        sql("UPDATE audit_event SET id = %s WHERE id = %s", then, now)
    assert both(exported) == [("moved", str(log[2])), ("moved", str(log[9]))]


def test_a_row_that_got_a_number_of_its_own_is_named_as_moved(log, exported):
    sql("UPDATE audit_event SET id = -3 WHERE id = %s", log[2])
    assert both(exported) == [("moved", "3")]


def test_places_that_were_exchanged_are_named_as_moved(log, exported):
    one, other = (ChainEntry.objects.get(event_id=log[place]) for place in (5, 10))
    sql("UPDATE audit_chainentry SET event_id = -1 WHERE position = %s", one.position)
    for position, place in ((other.position, one), (one.position, other)):
        sql(
            "UPDATE audit_chainentry SET event_id = %s, digest = %s WHERE position = %s",
            place.event_id,
            place.digest,
            position,
        )
    assert both(exported) == [("moved", str(log[10])), ("moved", str(log[5]))]


def forge(place: int, *, until: int) -> None:
    """Rewrite digests and links from a place on, as somebody without the key can."""
    places = ChainEntry.objects.order_by("position")
    link = places[place - 1].link if place else GENESIS
    for each in places[place:until]:
        values = Event.objects.values(*FIELDS["event"]).get(pk=each.event_id)
        digest = hash_of("event", event_record(values))
        link = chain_hash_of(link, each.position, digest)
        update = "UPDATE audit_chainentry SET digest = %s, link = %s WHERE position = %s"
        sql(update, digest, link, each.position)


def forge_seals(first: int) -> None:
    """Make seals anew from one on, with MACs that are as good as they get without the key."""
    for seal in Checkpoint.objects.filter(number__gte=first).order_by("number"):
        earlier = Checkpoint.objects.filter(number=seal.number - 1).first()
        seal.previous = earlier.hash if earlier else GENESIS
        seal.link = ChainEntry.objects.get(position=seal.last_position).link
        seal.hash = hash_of("seal", checkpoint_record(seal))
        seal.save()


def test_an_edit_whose_marks_were_mended_shows_at_the_next_row(log, exported):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = %s", log[4])
    forge(4, until=5)
    assert both(exported) == [("edited", str(log[5]))]


def test_an_edit_whose_marks_were_mended_to_the_end_shows_at_the_seal(log, exported):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = %s", log[4])
    forge(4, until=12)
    assert both(exported) == [("edited", "2"), ("edited", "3")]


def test_a_chain_made_anew_without_the_key_is_found(log, exported):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = %s", log[4])
    forge(4, until=12)
    noted = Checkpoint.objects.get(number=3)
    forge_seals(2)
    assert both(exported) == [("forged", "2"), ("forged", "3")]
    assert named(exported(key=False)) == []
    assert named(exported(key=False, expect=f"3:{noted.hash}")) == [("forged", "3")]


def test_seals_made_anew_under_a_key_nobody_has_are_found(log, exported):
    sql("UPDATE audit_event SET actor_id = 5 WHERE id = %s", log[4])
    forge(4, until=12)
    sql("UPDATE audit_checkpoint SET key_id = 'zz' WHERE number >= 2")
    forge_seals(2)
    assert [kind for kind, _ in [(f.kind, 0) for f in exported().findings]] == ["forged"]
    assert not live().ok


def test_one_seal_made_anew_without_the_key_shows_at_the_next(log, exported):
    sql("UPDATE audit_checkpoint SET created_at = '2020-01-01 00:00:00+00:00' WHERE number = 2")
    seal = Checkpoint.objects.get(number=2)
    sql(
        "UPDATE audit_checkpoint SET hash = %s WHERE number = 2",
        hash_of("seal", checkpoint_record(seal)),
    )
    assert named(exported(key=False)) == [("forged", "3")]
    assert both(exported) == [("forged", "2"), ("forged", "3")]


@pytest.mark.parametrize("number", [1, 2])
def test_a_deleted_seal_is_named(log, exported, number):
    sql("DELETE FROM audit_checkpoint WHERE number = %s", number)
    assert both(exported) == [("deleted", str(number))]


def test_the_last_seal_deleted_leaves_rows_no_seal_covers(log, exported):
    sql("DELETE FROM audit_checkpoint WHERE number = 3")
    assert both(exported) == [("inserted", "9")]


@pytest.mark.parametrize("column", ["settled_id", "first_position", "created_at", "previous"])
def test_an_edited_seal_is_named(log, exported, column):
    value = {"created_at": "2020-01-01 00:00:00+00:00", "previous": "0" * 64}.get(column, 1)
    sql(f"UPDATE audit_checkpoint SET {column} = %s WHERE number = 2", value)
    assert ("forged", "2") in both(exported)


def test_an_end_that_was_cut_off_is_found_by_a_seal_noted_before(log, exported):
    noted = Checkpoint.objects.get(number=3)
    assert live().ok
    for statement in (
        "DELETE FROM audit_event WHERE id >= %s",
        "DELETE FROM audit_chainentry WHERE event_id >= %s",
    ):
        sql(statement, log[8])
    sql("DELETE FROM audit_checkpoint WHERE number = 3")
    assert named(live()) == [("cut", "3")]
    assert named(exported(key=False)) == []
    assert named(exported(expect=f"3:{noted.hash}")) == [("cut", "3")]
