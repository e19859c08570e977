"""The worker's loop: it finds what is due, hands work queues to threads, and sleeps until the next."""

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections
from django.db import Error as PortalDatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from accessflows.connectors import idle_pool
from apono_portal.core.db.changes import ChangeDetector
from requests_app.drift.scan import due_for_scan, scan_target
from requests_app.grants.revocation import expire_due
from requests_app.grants.target_access import integrations_with_access, keep_connections
from requests_app.lifecycle import BATCH_SIZE
from requests_app.worker.deadline_watchdog import DeadlineWatchdog
from requests_app.worker.heartbeat import Heartbeat
from requests_app.worker.reconciler import (
    Stage,
    WorkQueue,
    has_work,
    is_urgent,
    next_due_at,
    pending_activations,
    run_housekeeping,
    start_activations,
    work,
    work_queues,
)

log = structlog.get_logger(__name__)

MIN_PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 10.0  # of an idle worker
MONITOR_SECONDS = 1
POLL_SECONDS = 0.25  # for commits during a pause
SWITCH_INTERVAL_SECONDS = 0.001  # so that a thread that revokes access waits little for others
KEEP_CONNECTION_SECONDS = 30  # less than a pooled connection stays idle
ACTIVATION_TASK = "activations"
EXIT_CODE_SILENT = 70


class Worker:
    """One process's share of the work.

    Containment and periodic tasks have threads of their own, so that neither a hanging activation nor a
    stuck cleanup delays them. A queue runs once at a time in a worker, so a hanging target holds one thread.
    The watchdog terminates sessions at their deadline, also while the portal's database is lost.
    A loop that neither does a round nor polls for ``max_silence`` ends the process, to be started again; a
    round that fails for want of the database counts.
    There is a round after every commit, once an interval at most unless it is urgent; at the next deadline;
    once an interval while grants change; and at least every `MAX_PAUSE_SECONDS`.
    ``periodic_tasks`` are called with the current time, once an interval at most, and should return within
    some seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        interval_s: float,
        threads: int = 8,
        max_silence: timedelta = timedelta(minutes=2),
        periodic_tasks: tuple[Callable[[datetime], object], ...] = (),
    ) -> None:
        self.name = name
        self._interval_s = interval_s
        self._watchdog = DeadlineWatchdog(interval_s)
        self._max_silence_s = max_silence.total_seconds()
        self._silent_s = 0.0
        self._heartbeat = Heartbeat(name)
        self._changes = ChangeDetector()
        self._changed_at = timezone.now()
        self._monitor = threading.Thread(target=self._exit_when_silent, name="monitor", daemon=True)
        self._periodic_tasks = (self._housekeeping, *periodic_tasks)
        self._opened: set[BaseDatabaseWrapper] = set()
        self._urgent = ThreadPoolExecutor(4 * threads, thread_name_prefix="contain")
        self._others = ThreadPoolExecutor(4 * threads, thread_name_prefix="work")
        self._periodic = ThreadPoolExecutor(threads, thread_name_prefix="periodic")
        self._running: dict[WorkQueue | str, Future[None]] = {}
        self._periodic_at: datetime | None = None
        self._wake = threading.Event()
        self._has_scanned = False
        self._connected_at = 0.0
        self._due_at: datetime | None = None  # the next deadline
        self._stopping = False

    def stop(self) -> None:
        """End the loop within an interval, after the steps already started.

        Sets only a flag: a signal handler must not take the lock of an event it may have interrupted.
        """
        self._stopping = True

    def run(self) -> None:
        log.info("worker_started", worker=self.name)
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        idle_pool.connections.is_enabled = True
        self._watchdog.start()
        self._monitor.start()
        while not self._stopping:
            self._silent_s = 0.0
            try:
                pause_s = self._do_round()
                self._watchdog.database_ok()
                self._pause(pause_s)
            except PortalDatabaseError as error:
                self._handle_lost_database(error)
                self._wake.wait(self._interval_s)
            self._wake.clear()
        self._shut_down()
        log.info("worker_stopped", worker=self.name)

    def _shut_down(self) -> None:
        """Wait for what still runs, and close every connection."""
        self._watchdog.stop()
        for pool in (self._urgent, self._others, self._periodic):
            pool.shutdown(cancel_futures=True)
        self._stop_heartbeat()
        self._close_all()

    def _exit_when_silent(self) -> None:
        """Count seconds rather than compare clocks, so that time while suspended is no silence."""
        while not self._stopping:
            if self._silent_s > self._max_silence_s:
                log.critical("worker_silent", worker=self.name)
                os._exit(EXIT_CODE_SILENT)
            time.sleep(MONITOR_SECONDS)
            self._silent_s += MONITOR_SECONDS

    def _should_continue(self) -> bool:
        return not self._stopping

    def _pause(self, pause_s: float) -> None:
        """Wait for the next round, or for what another process commits.

        A deadline also ends the pause when the clock is set forward past it.
        """
        began = time.monotonic()
        until = began + pause_s
        while not self._stopping and (left_s := until - time.monotonic()) > 0:
            if self._wake.wait(min(left_s, POLL_SECONDS)):
                return
            if self._due_at and self._due_at <= timezone.now():
                return
            if left_s <= POLL_SECONDS:
                continue
            if self._changes.has_changes():
                if is_urgent(timezone.now()):
                    return
                until = min(until, began + self._interval_s)
            self._silent_s = 0.0
            self._watchdog.database_ok()

    def _handle_lost_database(self, error: PortalDatabaseError) -> None:
        self._watchdog.database_lost()
        log.warning("database_unreachable", worker=self.name, error=type(error).__name__)
        connections.close_all()

    def _stop_heartbeat(self) -> None:
        try:
            self._heartbeat.stop()
        except PortalDatabaseError as error:
            self._handle_lost_database(error)

    def _close_all(self) -> None:
        """Close the connections of finished threads."""
        idle_pool.connections.stop()
        connections.close_all()
        for connection in self._opened:
            connection.inc_thread_sharing()
            connection.close()

    def _do_round(self) -> float:
        """Dispatch what is due, and return the seconds until the next round."""
        if self._changes.has_changes():
            self._changed_at = timezone.now()
        close_old_connections()
        now = timezone.now()
        self._heartbeat.beat(now)
        self._changes.reset()
        expired = expire_due(now=now)
        for queue in work_queues(timezone.now()):
            pool = self._urgent if queue.stage is Stage.CONTAIN else self._others
            self._dispatch(
                pool, queue, partial(work, queue, self.name, should_continue=self._should_continue)
            )
        if pending_activations().exists():
            self._dispatch(self._others, ACTIVATION_TASK, start_activations)
        is_complete = self._run_periodic_tasks(now)
        for pk in due_for_scan(now, all_targets=not self._has_scanned):
            self._dispatch(self._others, f"scan-{pk}", partial(scan_target, pk, self.name))
        self._has_scanned = True
        self._keep_connections()
        if expired == BATCH_SIZE:
            return 0
        return self._pause_s(now, is_idle=is_complete and not expired and not has_work())

    def _keep_connections(self) -> None:
        """Keep a way into each database with access, before others take all of its connections."""
        if self._connected_at and time.monotonic() - self._connected_at < KEEP_CONNECTION_SECONDS:
            return
        self._connected_at = time.monotonic()
        for pk in integrations_with_access():
            self._dispatch(self._others, f"connection-{pk}", partial(keep_connections, pk))

    def _run_periodic_tasks(self, now: datetime) -> bool:
        """Start the periodic tasks if an interval has passed. Return whether all were started."""
        passed = (now - self._periodic_at).total_seconds() if self._periodic_at else None
        if passed is not None and 0 <= passed < self._interval_s:
            return False
        self._periodic_at = now
        started = [
            self._dispatch(self._periodic, f"periodic-{number}", partial(task, now))
            for number, task in enumerate(self._periodic_tasks)
        ]
        return all(started)

    def _housekeeping(self, now: datetime) -> int:
        idle_pool.connections.close_idle()
        self._watchdog.refresh(now)
        return run_housekeeping(now)

    def _pause_s(self, now: datetime, *, is_idle: bool) -> float:
        """Return the seconds to the next deadline, and no more than an idle or busy worker may pause.

        After a change it ends as soon as the watchdog may read the deadlines again.
        """
        longest_s = MAX_PAUSE_SECONDS if is_idle else self._interval_s
        refresh_s = self._watchdog.seconds_to_refresh(self._changed_at, now)
        if refresh_s is not None:
            longest_s = min(longest_s, max(refresh_s, self._interval_s))
        self._due_at = next_due_at(now)
        if self._due_at is None:
            return longest_s
        due_s = (self._due_at - timezone.now()).total_seconds()
        return min(longest_s, max(MIN_PAUSE_SECONDS, due_s))

    def _dispatch(
        self, pool: ThreadPoolExecutor, key: WorkQueue | str, task: Callable[[], object]
    ) -> bool:
        """Start a task unless it still runs. Return whether it was started."""
        running = self._running.get(key)
        if running is not None and not running.done():
            return False
        self._running[key] = pool.submit(self._do, key, task)
        return True

    def _do(self, key: WorkQueue | str, task: Callable[[], object]) -> None:
        """Run a task with its thread's own connection, and start a round if it did something."""
        self._opened.add(connections[DEFAULT_DB_ALIAS])
        close_old_connections()
        try:
            if task():
                self._wake.set()
        except PortalDatabaseError as error:
            self._handle_lost_database(error)
        except Exception as error:
            log.exception(
                "step_failed", worker=self.name, queue=str(key), error=type(error).__name__
            )
            connections.close_all()
