"""The sealer: everything gets a place in the chain once, in any order of commits, and nobody waits."""

import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone

from audit.events import EventName
from audit.integrity import checkpoints
from audit.integrity.chain import unchained_events
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.verification import verify_log
from audit.models import ChainEntry, ChainState, Checkpoint, Event
from audit.services import record


def written(count: int) -> list[int]:
    return [record(event=EventName.SESSION_SIGN_IN, actor=None).pk for _ in range(count)]


def sealed_ids() -> list[int]:
    return list(ChainEntry.objects.order_by("position").values_list("event_id", flat=True))


@pytest.mark.django_db
def test_a_sweep_seals_what_was_written_and_the_next_what_came_then():
    first = written(3)
    assert write_checkpoints(timezone.now()) == 3
    assert write_checkpoints(timezone.now()) == 0
    second = written(2)
    assert write_checkpoints(timezone.now()) == 2
    assert sealed_ids() == first + second
    assert list(ChainEntry.objects.order_by("position").values_list("position", flat=True)) == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert verify_log().ok


@pytest.mark.django_db
def test_a_backlog_is_sealed_in_several_seals(monkeypatch):
    monkeypatch.setattr(checkpoints, "BATCH", 4)
    numbers = written(10)
    assert write_checkpoints(timezone.now()) == 10
    assert sealed_ids() == numbers
    assert Checkpoint.objects.count() == 3
    assert [seal.settled_id for seal in Checkpoint.objects.order_by("number")][-1] == numbers[-1]
    assert verify_log().ok


@pytest.mark.django_db
def test_writing_an_event_is_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        record(event=EventName.SESSION_SIGN_IN, actor=None)


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["seal", "sealedevent", "retentionstub"])
@pytest.mark.parametrize("verb", ["UPDATE audit_{} SET link = 'x'", "DELETE FROM audit_{}"])
def test_seals_refuse_change(table, verb):
    from audit.integrity.retention import prune_log

    written(2)
    write_checkpoints(timezone.now())
    prune_log(before=timezone.now())
    written(2)
    write_checkpoints(timezone.now())
    with (
        pytest.raises(DatabaseError, match="the audit log cannot be changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(verb.format(table))


@pytest.mark.django_db
def test_every_seal_says_with_which_key_it_was_made(settings):
    written(1)
    write_checkpoints(timezone.now())
    older = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = f"{key('t2')},{older}"
    written(1)
    write_checkpoints(timezone.now())
    assert [seal.key_id for seal in Checkpoint.objects.order_by("number")] == ["t1", "t2"]
    assert verify_log().ok


@pytest.mark.django_db
def test_a_key_that_was_rotated_out_leaves_the_chain_proven(settings):
    written(1)
    write_checkpoints(timezone.now())
    settings.ENCRYPTION_KEYS = key("t2")
    assert [f.kind for f in verify_log().findings] == ["forged"]
    write_checkpoints(timezone.now())
    assert verify_log().ok


def key(key_id: str) -> str:
    import base64

    return f"{key_id}:{base64.urlsafe_b64encode(key_id.encode() * 32).decode()}"


def in_thread(task) -> threading.Thread:
    """Run with a connection of its own."""

    def run() -> None:
        try:
            task()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_after_younger_ones_is_sealed_late():
    """PostgreSQL numbers events before they are committed; SQLite has one writer at a time."""
    if connection.vendor != "postgresql":
        return
    numbered, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            record(event=EventName.USER_CHANGE, actor=None)
            numbered.set()
            go_on.wait(20)

    writer = in_thread(slow)
    assert numbered.wait(20)
    younger = written(2)
    assert write_checkpoints(timezone.now()) == 2
    assert ChainState.objects.get().settled_id < younger[0] - 1
    assert write_checkpoints(timezone.now()) == 0
    go_on.set()
    writer.join()
    late = unchained_events().get().pk
    assert late < younger[0]
    assert write_checkpoints(timezone.now()) == 1
    assert sealed_ids() == [*younger, late]
    assert ChainState.objects.get().settled_id >= younger[-1]
    assert verify_log().ok


@pytest.mark.django_db(transaction=True)
def test_writers_that_never_pause_do_not_hold_settling_back():
    """Each look finds somebody writing, but never those of the look before."""
    if connection.vendor != "postgresql":
        return
    first = written(1)
    stages = [(threading.Event(), threading.Event()) for _ in range(2)]

    def writer_of(stage):
        def write() -> None:
            with transaction.atomic():
                record(event=EventName.USER_CHANGE, actor=None)
                stage[0].set()
                stage[1].wait(20)

        return in_thread(write)

    one = writer_of(stages[0])
    assert stages[0][0].wait(20)
    write_checkpoints(timezone.now())
    assert ChainState.objects.get().settled_id == 0
    two = writer_of(stages[1])
    assert stages[1][0].wait(20)
    stages[0][1].set()
    one.join()
    write_checkpoints(timezone.now())
    assert ChainState.objects.get().settled_id >= first[0]
    stages[1][1].set()
    two.join()


@pytest.mark.django_db(transaction=True)
def test_a_sealer_leaves_the_chain_to_the_one_that_holds_it():
    if connection.vendor != "postgresql":
        return
    written(2)
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            assert checkpoints.lock_chain()
            held.set()
            go_on.wait(20)

    ChainState.objects.create(pk=ChainState.ONLY)
    holder = in_thread(hold)
    assert held.wait(20)
    assert write_checkpoints(timezone.now()) == 0
    go_on.set()
    holder.join()
    assert write_checkpoints(timezone.now()) == 2


@pytest.mark.django_db(transaction=True)
def test_sealers_and_writers_at_once_leave_one_chain_without_a_gap():
    stop = threading.Event()

    def write() -> None:
        for _ in range(15):
            with transaction.atomic():
                written(2)

    def seal() -> None:
        while not stop.is_set():
            write_checkpoints(timezone.now())

    writers = [in_thread(write) for _ in range(3)]
    sealers = [in_thread(seal) for _ in range(2)]
    for writer in writers:
        writer.join()
    stop.set()
    for sealer in sealers:
        sealer.join()
    write_checkpoints(timezone.now())
    assert ChainEntry.objects.count() == Event.objects.count() == 90
    assert verify_log().ok


@pytest.mark.django_db
def test_what_is_dated_in_the_future_is_sealed_as_well():
    written(1)
    assert write_checkpoints(timezone.now() - timedelta(days=1)) == 1
