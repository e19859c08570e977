"""Ends that do not need the portal's database: what ends soon is remembered, and kept on time.

At the moment of an end the sessions are told to end over a connection that is open already, before
anything is read or written here; the target itself says whose end has come. The ordinary way follows
and does all the rest.

A worker that has lost the database still knows, for some minutes, which logins reach their end where.
Containment may be done twice, so cutting what is past its end is right whatever the database would
say.
"""

import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import Connector, GrantIdentity, Target
from accessflows.models import Integration
from requests_app.grants.target_access import AT_ONCE, draft, reach_integration
from requests_app.models import Grant
from requests_app.worker.deadline_index import Ends

log = structlog.get_logger(__name__)

LOOK_AHEAD = timedelta(minutes=10)

LOOK_EVERY = timedelta(seconds=5)

MOST = 5000  # of what is past its end, and of what is to come

# How far past an end the ordinary way may be before it is helped along. In seconds.
GRACE_S = 0.4

GET_READY = timedelta(seconds=1)  # before an end

TOGETHER = timedelta(seconds=0.2)  # ends this close are told in one statement


@dataclass(frozen=True)
class Place:
    """A target and how it is asked, kept in memory only."""

    connector: Connector
    target: Target


@dataclass(frozen=True)
class Memory:
    """What ends soon, and where. Replaced as a whole, since several threads read it."""

    ends: Ends = field(default_factory=Ends)
    places: dict[int, Place] = field(default_factory=dict)
    contained: set[int] = field(default_factory=set)  # numbers of ends


class DeadlineWatchdog:
    """One worker's memory of the ends to come, and the thread that keeps them."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._memory = Memory()
        self._looked_at: datetime | None = None
        self._heard_at = time.monotonic()
        self._is_lost = False
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="watchdog")
        self._running: dict[int, Future[None]] = {}
        self._told: set[bytes] = set()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()

    def database_ok(self) -> None:
        """The worker's turn succeeded, so ends take their ordinary way."""
        self._heard_at, self._is_lost = time.monotonic(), False

    def database_lost(self) -> None:
        self._is_lost = True

    def refresh(self, now: datetime) -> int:
        """Remember what ends within `LOOK_AHEAD`. Returns 0: this is no step."""
        if self._looked_at is not None and timedelta(0) <= now - self._looked_at < LOOK_EVERY:
            return 0
        with (
            transaction.atomic()
        ):  # else a pooler may give the rest of a cursor to another connection
            ends = Ends(_ends_until(now + LOOK_AHEAD, now))
        places = _places({ends.integration_id(number) for number in range(len(ends))})
        self._memory, self._looked_at = Memory(ends, places), now
        marks = map(ends.mark, range(len(ends)))
        self._told = {mark for mark in marks if mark in self._told}
        sessions_told.forget_all_but(ends.keys())
        return 0

    def terminate_on_time(self, now: datetime) -> list[Future[None]]:
        """Have the sessions of what ends within `GET_READY` told to end at that moment.

        What was missed, as by a process that was held up, is told at once.
        """
        memory = self._memory
        soon: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
        for number in memory.ends.until(now + GET_READY):
            integration_id = memory.ends.integration_id(number)
            if integration_id in memory.places and memory.ends.mark(number) not in self._told:
                at = max(memory.ends.deadline(number), now)
                soon[integration_id].append((at, number))
        begun = []
        for integration_id, due in soon.items():
            for at, numbers in _together(due):
                self._told.update(map(memory.ends.mark, numbers))
                logins = {memory.ends.identity(each): memory.ends.key(each) for each in numbers}
                place = memory.places[integration_id]
                begun.append(self._pool.submit(self._tell, place, logins, at))
        return begun

    def keep(self, now: datetime) -> list[Future[None]]:
        """Contain what is past its end, a target each in a thread of its own."""
        memory = self._memory
        due: dict[int, list[int]] = defaultdict(list)
        for number in memory.ends.until(now - timedelta(seconds=GRACE_S)):
            if number not in memory.contained:
                due[memory.ends.integration_id(number)].append(number)
        for integration_id, numbers in due.items():
            running = self._running.get(integration_id)
            if integration_id in memory.places and (running is None or running.done()):
                place = memory.places[integration_id]
                task = self._pool.submit(self._contain, place, memory, numbers)
                self._running[integration_id] = task
        return list(self._running.values())

    def _run(self) -> None:
        while not self._stopping.wait(GRACE_S / 2):
            try:
                self._look_at_the_clock()
            except Exception as error:  # nothing else would keep the ends to come
                log.exception("vigil_broke", error=type(error).__name__)

    def _look_at_the_clock(self) -> None:
        self.terminate_on_time(timezone.now())
        silent_s = time.monotonic() - self._heard_at
        if self._is_lost or silent_s > self._interval_s + GRACE_S:
            self.keep(timezone.now())

    def _tell(self, place: Place, logins: dict[GrantIdentity, uuid.UUID], at: datetime) -> None:
        """A failure here is none: containment comes right after, and attempts for ever."""
        try:
            with draft():
                told = place.connector.terminate_sessions_at(place.target, list(logins), at)
        except ConnectorError as error:
            log.info("sessions_not_told_on_time", grants=len(logins), reason=error.sentence)
            return
        for identity, number in told.items():
            sessions_told.note(logins[identity], number)

    def _contain(self, place: Place, memory: Memory, numbers: list[int]) -> None:
        identities = {number: memory.ends.identity(number) for number in numbers}
        try:
            with draft():
                answers = place.connector.contain_many(place.target, list(identities.values()))
        except ConnectorError as error:
            log.warning("vigil_retry", grants=len(numbers), reason=error.sentence)
            return
        for number, identity in identities.items():
            if not isinstance(answers.get(identity), ConnectorError):
                memory.contained.add(number)
        log.warning("contained_without_database", grants=len(numbers))


def _ends_until(latest: datetime, now: datetime) -> Iterator[Any]:
    """What is past its end and waits in a long line keeps nothing out that is still to come."""
    ending = Grant.objects.ending_before(latest).exclude(login_oid=None).order_by("deadline")
    told = ending.values_list(*Ends.COLUMNS)
    for some in (told.filter(deadline__lte=now), told.filter(deadline__gt=now)):
        yield from some[:MOST].iterator(chunk_size=AT_ONCE)


def _together(ends: list[tuple[datetime, int]]) -> Iterator[tuple[datetime, list[int]]]:
    """Yield ends that are told in one statement, with the moment of the last of them."""
    waiting = sorted(ends)
    while waiting:
        group = [each for each in waiting if each[0] <= waiting[0][0] + TOGETHER]
        yield group[-1][0], [key for _, key in group]
        del waiting[: len(group)]


def _places(integration_ids: set[int]) -> dict[int, Place]:
    """Where logins are, without the targets that cannot be asked at all."""
    found: dict[int, Place] = {}
    for pk, integration in Integration.objects.in_bulk(integration_ids).items():
        try:
            found[pk] = Place(*reach_integration(integration))
        except ConnectorError:
            continue
    return found


class SessionsTold:
    """By grant. Safe to share between threads."""

    def __init__(self) -> None:
        self._told: dict[uuid.UUID, int] = {}
        self._lock = threading.Lock()

    def note(self, grant: uuid.UUID, number: int) -> None:
        with self._lock:
            self._told[grant] = number

    def about(self, grant: uuid.UUID) -> int:
        with self._lock:
            return self._told.get(grant, 0)

    def forget_all_but(self, grants: Iterable[uuid.UUID]) -> None:
        with self._lock:
            if self._told:
                self._told = {key: self._told[key] for key in grants if key in self._told}


sessions_told = SessionsTold()
