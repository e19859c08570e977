"""Connections kept open between two calls, so that an end does not wait for a sign-in.

Only a worker keeps any; everywhere else a connection is closed after its call. What is kept is
idle and holds no decision: whoever takes a connection asks the target anew where it stands.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

IDLE_S = 30.0  # a database that is never left alone cannot be renamed or dropped
MOST_OF_A_PLACE = 3  # what ends, what opens, what is cleaned
MOST = 24


class Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class WarmConnections(Generic[C]):
    """Idle connections by place, the one used last on top. Safe to share between threads."""

    def __init__(self) -> None:
        self.is_kept = False
        self._idle: dict[Hashable, list[tuple[float, C]]] = defaultdict(list)
        self._lock = threading.Lock()

    def take(self, place: Hashable) -> C | None:
        """Return an idle connection to a place, now the caller's own, or None."""
        with self._lock:
            idle = self._idle.get(place)
            return idle.pop()[1] if idle else None

    def give(self, place: Hashable, connection: C) -> bool:
        """Keep a connection for the next call. False if it should be closed instead."""
        with self._lock:
            number = sum(len(each) for each in self._idle.values())
            if not self.is_kept or number >= MOST or len(self._idle[place]) >= MOST_OF_A_PLACE:
                return False
            self._idle[place].append((time.monotonic(), connection))
            return True

    def close_idle(self, idle_s: float = IDLE_S) -> int:
        """Close what nobody needed for so long. Returns how many."""
        before = time.monotonic() - idle_s
        with self._lock:
            old = [c for idle in self._idle.values() for at, c in idle if at <= before]
            kept = {
                place: [(at, c) for at, c in idle if at > before]
                for place, idle in self._idle.items()
            }
            self._idle.clear()
            self._idle.update({place: idle for place, idle in kept.items() if idle})
        for connection in old:
            connection.close()
        return len(old)

    def stop(self) -> None:
        """Keep nothing any more."""
        self.is_kept = False
        self.close_idle(0)


connections: WarmConnections[Closable] = WarmConnections()
