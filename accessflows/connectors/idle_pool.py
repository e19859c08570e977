"""Connections kept open between two calls, so that an end does not wait for a sign-in.

Only a worker keeps any; everywhere else a connection is closed after its call. What is kept is
idle and holds no decision: whoever takes a connection asks the target anew where it stands.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

IDLE_S = 30.0
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

    def give(self, place: Hashable, connection: C, *, idle_s: float = IDLE_S) -> bool:
        """Keep a connection for the next call, so long if nobody needs it. False: close it instead."""
        with self._lock:
            number = sum(len(each) for each in self._idle.values())
            if not self.is_kept or number >= MOST or len(self._idle[place]) >= MOST_OF_A_PLACE:
                return False
            self._idle[place].append((time.monotonic() + idle_s, connection))
            return True

    def close_idle(self, *, early: bool = False) -> int:
        """Close what nobody needed for long enough, or ``early`` all. Returns how many."""
        now = time.monotonic()
        old: list[C] = []
        with self._lock:
            for place, idle in list(self._idle.items()):
                old += [connection for until, connection in idle if early or until <= now]
                self._idle[place] = [] if early else [each for each in idle if each[0] > now]
                if not self._idle[place]:
                    del self._idle[place]
        for connection in old:
            connection.close()
        return len(old)

    def stop(self) -> None:
        """Keep nothing any more."""
        self.is_kept = False
        self.close_idle(early=True)


connections: WarmConnections[Closable] = WarmConnections()
