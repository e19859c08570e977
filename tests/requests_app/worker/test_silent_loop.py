"""A worker whose loop does no round exits, to be started again."""

import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError

from requests_app.worker import loop
from requests_app.worker.loop import EXIT_CODE_SILENT, Worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def exits(monkeypatch):
    """The codes with which the process would have exited; the loop is released after the first."""
    codes: list[int] = []
    monkeypatch.setattr(loop, "MONITOR_SECONDS", 0.05)
    monkeypatch.setattr(loop.os, "_exit", codes.append)
    return codes


def run(worker: Worker) -> threading.Thread:
    thread = threading.Thread(target=worker.run)
    thread.start()
    return thread


def test_worker_with_a_hanging_turn_exits(monkeypatch, exits):
    worker, released = (
        Worker("w", interval_s=0.1, max_silence=timedelta(seconds=0.3)),
        threading.Event(),
    )
    monkeypatch.setattr(worker, "_do_round", lambda: released.wait(10) and 0)
    thread = run(worker)
    released.wait(1)
    worker.stop()
    released.set()
    thread.join(10)
    assert exits[0] == EXIT_CODE_SILENT


def test_worker_without_its_database_goes_on(monkeypatch, exits):
    def do_round() -> float:
        raise DatabaseError("the server closed the connection")

    worker = Worker("w", interval_s=0.1, max_silence=timedelta(seconds=0.3))
    monkeypatch.setattr(worker, "_do_round", do_round)
    thread = run(worker)
    threading.Event().wait(1)
    worker.stop()
    thread.join(10)
    assert exits == []
