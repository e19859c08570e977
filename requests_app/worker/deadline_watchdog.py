"""Ends that do not depend on the portal's database: upcoming deadlines are cached and enforced.

At a deadline the sessions are terminated over a connection that is already open, before anything is
read or written here; the target itself decides whose end has come. The worker's steps do the rest.

A worker that has lost the database still knows which logins expire where, however long that lasts. It
contains none of which the target knows a later deadline, as an extension moves it there first: what the
worker knows may be old, as after it was suspended.
"""

import threading
import time
import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

import structlog
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import Connector, GrantIdentity, Target, login_of
from accessflows.models import Integration
from requests_app.grants.target_access import (
    connector_errors,
    connector_of_integration,
    iter_managed_accounts,
)
from requests_app.models import Grant

log = structlog.get_logger(__name__)

REFRESH_INTERVAL = timedelta(seconds=5)
MAX_DEADLINES = 5000  # of those past, and again of those to come
GRACE_SECONDS = 0.4  # how late the worker's own steps may be before the watchdog contains
PREPARATION_TIME = timedelta(seconds=1)
COALESCE_WITHIN = timedelta(seconds=0.2)  # deadlines this close share one statement
THREADS = 8


class Deadline(NamedTuple):
    """When which login expires; an extended one is another deadline."""

    grant_id: uuid.UUID
    integration_id: int
    at: datetime
    login_mark: str
    system_identifier: str

    @property
    def identity(self) -> GrantIdentity:
        return GrantIdentity(login_of(self.grant_id), self.login_mark, self.system_identifier)


@dataclass(frozen=True)
class TargetHandle:
    """A connector and the target it connects to."""

    connector: Connector
    target: Target


@dataclass(frozen=True)
class DeadlineCache:
    """Upcoming deadlines in order. Replaced as a whole, as several threads read it."""

    deadlines: Sequence[Deadline] = ()
    targets: dict[int, TargetHandle] = field(default_factory=dict)
    contained: set[Deadline] = field(default_factory=set)

    def until(self, moment: datetime) -> Sequence[Deadline]:
        return self.deadlines[: bisect_right(self.deadlines, moment, key=attrgetter("at"))]


class DeadlineWatchdog:
    """One worker's cache of deadlines, and the thread that enforces them."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._cache = DeadlineCache()
        self._refreshed_at: datetime | None = None
        self._database_ok_at = time.monotonic()
        self._database_is_lost = False
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="watchdog")
        self._containing: dict[int, Future[None]] = {}
        self._terminated: set[Deadline] = set()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()

    def database_ok(self) -> None:
        """The worker's round succeeded, so its own steps contain what expires."""
        self._database_ok_at, self._database_is_lost = time.monotonic(), False

    def database_lost(self) -> None:
        self._database_is_lost = True

    def seconds_to_refresh(self, changed_at: datetime, now: datetime) -> float | None:
        """Return when `refresh` reads again after a change; None if it has read the change."""
        last = self._refreshed_at
        if last is None or last > now:  # the clock was set back
            return 0
        if changed_at <= last:
            return None
        return max(0, (last + REFRESH_INTERVAL - now).total_seconds())

    def refresh(self, now: datetime) -> None:
        """Cache the deadlines to come, every `REFRESH_INTERVAL` at most."""
        last = self._refreshed_at
        if last is not None and timedelta(0) <= now - last < REFRESH_INTERVAL:
            return
        deadlines = list(_deadlines(now))
        targets = _target_handles({deadline.integration_id for deadline in deadlines})
        self._cache, self._refreshed_at = DeadlineCache(deadlines, targets), now
        self._terminated = self._terminated.intersection(deadlines)
        terminated_sessions.keep_only(deadline.grant_id for deadline in deadlines)

    def terminate_on_time(self, now: datetime) -> list[Future[None]]:
        """Schedule the termination of sessions whose deadline is within `PREPARATION_TIME`.

        Deadlines that were missed, as by a suspended process, are due now.
        """
        cache = self._cache
        due: dict[int, list[tuple[datetime, Deadline]]] = defaultdict(list)
        for deadline in cache.until(now + PREPARATION_TIME):
            if deadline.integration_id in cache.targets and deadline not in self._terminated:
                due[deadline.integration_id].append((max(deadline.at, now), deadline))
        tasks = []
        for integration_id, times in due.items():
            for at, deadlines in _coalesced(times):
                self._terminated.update(deadlines)
                handle = cache.targets[integration_id]
                tasks.append(self._pool.submit(self._terminate, handle, deadlines, at))
        return tasks

    def contain_overdue(self, now: datetime) -> list[Future[None]]:
        """Contain what is past its deadline, each target in a thread of its own."""
        cache = self._cache
        overdue: dict[int, list[Deadline]] = defaultdict(list)
        for deadline in cache.until(now - timedelta(seconds=GRACE_SECONDS)):
            if deadline not in cache.contained:
                overdue[deadline.integration_id].append(deadline)
        for integration_id, deadlines in overdue.items():
            task = self._containing.get(integration_id)
            if integration_id in cache.targets and (task is None or task.done()):
                handle = cache.targets[integration_id]
                task = self._pool.submit(self._contain, handle, cache, deadlines)
                self._containing[integration_id] = task
        return list(self._containing.values())

    def _run(self) -> None:
        while not self._stopping.wait(GRACE_SECONDS / 2):
            try:
                self._check_deadlines()
            except Exception as error:  # nothing else would enforce the deadlines to come
                log.exception("watchdog_failed", error=type(error).__name__)

    def _check_deadlines(self) -> None:
        self.terminate_on_time(timezone.now())
        silent_s = time.monotonic() - self._database_ok_at
        if self._database_is_lost or silent_s > self._interval_s + GRACE_SECONDS:
            self.contain_overdue(timezone.now())

    def _terminate(self, handle: TargetHandle, deadlines: list[Deadline], at: datetime) -> None:
        """Terminate sessions; a failure does no harm, as containment follows and is retried."""
        grant_ids = {deadline.identity: deadline.grant_id for deadline in deadlines}
        try:
            with connector_errors():
                numbers = handle.connector.terminate_sessions_at(handle.target, list(grant_ids), at)
        except ConnectorError as error:
            log.info("sessions_not_terminated", grants=len(deadlines), reason=error.sentence)
            return
        for identity, number in numbers.items():
            terminated_sessions.add(grant_ids[identity], number)

    def _contain(
        self, handle: TargetHandle, cache: DeadlineCache, deadlines: list[Deadline]
    ) -> None:
        try:
            extended = _extended_on_target(handle, deadlines)
            identities = {one: one.identity for one in deadlines if one.grant_id not in extended}
            if not identities:
                return
            with connector_errors():
                results = handle.connector.contain_many(handle.target, list(identities.values()))
        except ConnectorError as error:
            log.warning("watchdog_retry", grants=len(deadlines), reason=error.sentence)
            return
        for deadline, identity in identities.items():
            if not isinstance(results.get(identity), ConnectorError):
                cache.contained.add(deadline)
        log.warning("contained_without_database", grants=len(identities))


def _extended_on_target(handle: TargetHandle, deadlines: Sequence[Deadline]) -> set[uuid.UUID]:
    """Return the grants of which the target knows a later deadline than the cache."""
    known = {one.grant_id: one.at for one in deadlines}
    identities = [deadline.identity for deadline in deadlines]
    listings = iter_managed_accounts(handle.connector, handle.target, identities)
    return {
        role.grant_id
        for _, listing in listings
        for role in listing.accounts
        if role.grant_id in known and role.deadline and role.deadline > known[role.grant_id]
    }


def _deadlines(now: datetime) -> Iterator[Deadline]:
    """Yield deadlines in order; many past ones leave room for those to come."""
    ending = Grant.objects.to_end().exclude(login_mark="").order_by("deadline")
    rows = ending.values_list("pk", "integration_id", "deadline", "login_mark", "system_identifier")
    for period in (rows.filter(deadline__lte=now), rows.filter(deadline__gt=now)):
        yield from map(Deadline._make, period[:MAX_DEADLINES])


def _coalesced(
    times: list[tuple[datetime, Deadline]],
) -> Iterator[tuple[datetime, list[Deadline]]]:
    """Yield deadlines that share one statement, with the last time among them."""
    remaining = sorted(times, key=lambda time: time[0])
    while remaining:
        end = remaining[0][0] + COALESCE_WITHIN
        group = [(at, deadline) for at, deadline in remaining if at <= end]
        yield group[-1][0], [deadline for _, deadline in group]
        del remaining[: len(group)]


def _target_handles(integration_ids: set[int]) -> dict[int, TargetHandle]:
    """Return the targets that can be connected to at all."""
    handles: dict[int, TargetHandle] = {}
    for pk, integration in Integration.objects.in_bulk(integration_ids).items():
        try:
            handles[pk] = TargetHandle(*connector_of_integration(integration))
        except ConnectorError:
            continue
    return handles


class TerminatedSessions:
    """Numbers of sessions terminated at their deadline, by grant, shared between threads."""

    def __init__(self) -> None:
        self._numbers: dict[uuid.UUID, int] = {}
        self._lock = threading.Lock()

    def add(self, grant_id: uuid.UUID, number: int) -> None:
        with self._lock:
            self._numbers[grant_id] = number

    def count(self, grant_id: uuid.UUID) -> int:
        with self._lock:
            return self._numbers.get(grant_id, 0)

    def keep_only(self, grant_ids: Iterable[uuid.UUID]) -> None:
        with self._lock:
            if self._numbers:
                self._numbers = {pk: self._numbers[pk] for pk in grant_ids if pk in self._numbers}


terminated_sessions = TerminatedSessions()
