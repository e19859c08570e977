"""Every event gets one position in the chain, whatever the order of commits, and writers never wait."""

import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone

from audit.events import EventName
from audit.integrity import chain, checkpoints
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.records import unchained_events
from audit.integrity.verification import verify_log
from audit.models import ChainEntry, ChainState, Checkpoint, Event
from audit.services import record


def written(count: int) -> list[int]:
    return [record(event=EventName.SESSION_SIGN_IN, actor=None).pk for _ in range(count)]


def chained_ids() -> list[int]:
    return list(ChainEntry.objects.order_by("position").values_list("event_id", flat=True))


@pytest.mark.django_db
def test_checkpoints_cover_new_events_in_order():
    first = written(3)
    assert write_checkpoints(timezone.now()) == 3
    assert write_checkpoints(timezone.now()) == 0
    second = written(2)
    assert write_checkpoints(timezone.now()) == 2
    assert chained_ids() == first + second
    assert list(ChainEntry.objects.order_by("position").values_list("position", flat=True)) == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert verify_log().ok


@pytest.mark.django_db
def test_a_backlog_takes_several_checkpoints(monkeypatch):
    monkeypatch.setattr(checkpoints, "BATCH_SIZE", 4)
    numbers = written(10)
    assert write_checkpoints(timezone.now()) == 10
    assert chained_ids() == numbers
    assert Checkpoint.objects.count() == 3
    assert [checkpoint.settled_id for checkpoint in Checkpoint.objects.order_by("number")][
        -1
    ] == numbers[-1]
    assert verify_log().ok


@pytest.mark.django_db
def test_writing_an_event_is_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        record(event=EventName.SESSION_SIGN_IN, actor=None)


@pytest.mark.django_db
@pytest.mark.usefixtures("worker_key")
@pytest.mark.parametrize("table", ["checkpoint", "chainentry", "retentionstub"])
@pytest.mark.parametrize("verb", ["UPDATE audit_{} SET chain_hash = 'x'", "DELETE FROM audit_{}"])
def test_the_chain_refuses_change(table, verb):
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
def test_a_checkpoint_names_its_key(settings):
    written(1)
    write_checkpoints(timezone.now())
    older = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = f"{key('t2')},{older}"
    written(1)
    write_checkpoints(timezone.now())
    assert [checkpoint.key_id for checkpoint in Checkpoint.objects.order_by("number")] == [
        "t1",
        "t2",
    ]
    assert verify_log().ok


@pytest.mark.django_db
def test_a_rotated_key_leaves_the_chain_verifiable(settings):
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
def test_an_event_that_commits_after_newer_ones_is_appended_late():
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
    assert chained_ids() == [*younger, late]
    assert ChainState.objects.get().settled_id >= younger[-1]
    assert verify_log().ok


@pytest.mark.django_db(transaction=True)
def test_overlapping_writers_do_not_keep_ids_from_settling():
    """There is always a writer, but never one that was there before."""
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
def test_only_one_process_writes_checkpoints():
    if connection.vendor != "postgresql":
        return
    written(2)
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            assert chain.lock_chain()
            held.set()
            go_on.wait(20)

    ChainState.objects.create(pk=ChainState.SINGLETON_PK)
    holder = in_thread(hold)
    assert held.wait(20)
    assert write_checkpoints(timezone.now()) == 0
    go_on.set()
    holder.join()
    assert write_checkpoints(timezone.now()) == 2


@pytest.mark.django_db(transaction=True)
def test_concurrent_processes_leave_one_chain_without_a_gap():
    stop = threading.Event()

    def write() -> None:
        for _ in range(15):
            with transaction.atomic():
                written(2)

    def checkpoint() -> None:
        while not stop.is_set():
            write_checkpoints(timezone.now())

    writers = [in_thread(write) for _ in range(3)]
    processes = [in_thread(checkpoint) for _ in range(2)]
    for writer in writers:
        writer.join()
    stop.set()
    for process in processes:
        process.join()
    write_checkpoints(timezone.now())
    assert ChainEntry.objects.count() == Event.objects.count() == 90
    assert verify_log().ok


@pytest.mark.django_db
def test_events_dated_in_the_future_are_covered_too():
    written(1)
    assert write_checkpoints(timezone.now() - timedelta(days=1)) == 1
