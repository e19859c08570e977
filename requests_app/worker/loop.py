"""The worker's loop: finds what is due, hands work_queues to threads, and wakes when the next end comes."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections
from django.db import Error as DatabaseTrouble
from django.utils import timezone

from accessflows.connectors import idle_pool
from requests_app.drift.scan import due_for_scan, scan_targets
from requests_app.grants.ending import expire_due
from requests_app.lifecycle import BATCH
from requests_app.worker.deadline_watchdog import DeadlineWatchdog
from requests_app.worker.reconciler import (
    Stage,
    WorkQueue,
    is_urgent,
    next_turn,
    pending_activations,
    run_housekeeping,
    start_activations,
    work,
    work_queues,
)

log = structlog.get_logger(__name__)

SHORTEST_PAUSE_S = 0.05
GLANCE_S = 0.25  # between two turns, whether somebody waits
SWITCH_S = 0.001  # a thread that ends access shall not wait long for one that writes of it
TENDING = "run_housekeeping"
BEGINNING = "begin"


class Worker:
    """One process's share of the work.

    Containment has threads of its own, so that neither a hanging activation nor a stuck cleaning
    ever delays an end. A queue runs once at a time in a worker: a target that hangs holds one thread,
    and there are threads for many of those, made only when they are needed.
    Sessions are ended on time, and ends kept while the portal's database is lost, by the watchdog.
    ``periodic_tasks`` are called once an interval, beside the rest; they are given the present moment, and
    leave what would take them longer than some seconds to their next call.
    """

    def __init__(
        self,
        name: str,
        *,
        interval_s: float,
        threads: int = 8,
        periodic_tasks: tuple[Callable[[datetime], object], ...] = (),
    ) -> None:
        self.name = name
        self._interval_s = interval_s
        self._vigil = DeadlineWatchdog(interval_s)
        self._periodic_tasks = (self._see_to, *periodic_tasks)
        self._opened: set[Any] = set()
        self._urgent = ThreadPoolExecutor(4 * threads, thread_name_prefix="contain")
        self._others = ThreadPoolExecutor(threads, thread_name_prefix="work")
        self._running: dict[WorkQueue | str, Future[None]] = {}
        self._tended_at: datetime | None = None
        self._wake = threading.Event()
        self._has_looked = False
        self._stopping = False

    def stop(self) -> None:
        """End the loop within an interval, after the steps that have begun; nothing else is begun.

        Only a flag, as a signal handler must not take the lock of an event it may have interrupted.
        """
        self._stopping = True

    def run(self) -> None:
        log.info("worker_started", worker=self.name)
        sys.setswitchinterval(SWITCH_S)
        idle_pool.connections.is_kept = True
        self._vigil.start()
        while not self._stopping:
            try:
                pause_s = self._turn()
                self._vigil.database_ok()
                self._pause(pause_s)
            except DatabaseTrouble as error:
                self._lose_database(error)
                self._wake.wait(self._interval_s)
            self._wake.clear()
        self._vigil.stop()
        self._urgent.shutdown(cancel_futures=True)
        self._others.shutdown(cancel_futures=True)
        self._close_all()
        log.info("worker_stopped", worker=self.name)

    def _goes_on(self) -> bool:
        return not self._stopping

    def _pause(self, pause_s: float) -> None:
        """Wait for the next turn, and glance now and then whether somebody wants one now."""
        until = time.monotonic() + pause_s
        while not self._stopping and (left_s := until - time.monotonic()) > 0:
            if self._wake.wait(min(left_s, GLANCE_S)):
                return
            if left_s > GLANCE_S and is_urgent(timezone.now()):
                return

    def _lose_database(self, error: DatabaseTrouble) -> None:
        self._vigil.database_lost()
        log.warning("database_unreachable", worker=self.name, error=type(error).__name__)
        connections.close_all()

    def _close_all(self) -> None:
        """Close what threads that are over have left open."""
        idle_pool.connections.stop()
        connections.close_all()
        for each in self._opened:
            each.inc_thread_sharing()
            each.close()

    def _turn(self) -> float:
        """Dispatch what is due. Returns the seconds until the next look."""
        close_old_connections()
        now = timezone.now()
        expired = expire_due(now=now)
        for queue in work_queues(timezone.now()):
            pool = self._urgent if queue.stage is Stage.CONTAIN else self._others
            self._dispatch(pool, queue, partial(work, queue, self.name, goes_on=self._goes_on))
        if pending_activations().exists():
            self._dispatch(self._others, BEGINNING, start_activations)
        self._tend(now)
        for pk in due_for_scan(now, at_once=not self._has_looked):
            self._dispatch(self._others, f"look over {pk}", partial(scan_targets, pk, self.name))
        self._has_looked = True
        if expired == BATCH:
            return 0
        return self._pause_s()

    def _tend(self, now: datetime) -> None:
        passed = (now - self._tended_at).total_seconds() if self._tended_at else None
        if passed is None or not 0 <= passed < self._interval_s:
            self._tended_at = now
            for number, chore in enumerate(self._periodic_tasks):
                self._dispatch(self._others, f"{TENDING}-{number}", partial(chore, now))

    def _see_to(self, now: datetime) -> int:
        """What asks nothing but the portal's database, in one thread."""
        idle_pool.connections.close_idle()
        self._vigil.refresh(now)
        return run_housekeeping(now)

    def _pause_s(self) -> float:
        at = next_turn()
        if at is None:
            return self._interval_s
        left_s = (at - timezone.now()).total_seconds()
        return min(self._interval_s, max(SHORTEST_PAUSE_S, left_s))

    def _dispatch(
        self, pool: ThreadPoolExecutor, key: WorkQueue | str, task: Callable[[], object]
    ) -> None:
        running = self._running.get(key)
        if running is None or running.done():
            self._running[key] = pool.submit(self._do, key, task)

    def _do(self, key: WorkQueue | str, task: Callable[[], object]) -> None:
        """Run a task in a thread with a connection of its own, and look again if it did anything."""
        self._opened.add(connections[DEFAULT_DB_ALIAS])
        close_old_connections()
        try:
            if task():
                self._wake.set()
        except DatabaseTrouble as error:
            self._lose_database(error)
        except Exception as error:
            log.exception(
                "step_broke", worker=self.name, queue=str(key), error=type(error).__name__
            )
            connections.close_all()
