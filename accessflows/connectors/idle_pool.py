"""Connections kept open between two calls, so that a revocation does not wait for a sign-in.

Only a worker keeps any; elsewhere a connection is closed after its call. Pooled connections are idle and
hold no state: whoever acquires one reads the target's state again.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

IDLE_SECONDS = 30.0
MAX_PER_KEY = 3  # one each for revocation, activation and cleaning
MAX_IDLE = 24  # beyond it, one per key


class Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class IdlePool(Generic[C]):
    """Idle connections by key, the most recently used first. Safe to share between threads."""

    def __init__(self) -> None:
        self.is_enabled = False
        self._idle: dict[Hashable, list[tuple[float, C]]] = defaultdict(list)
        self._lock = threading.Lock()

    def acquire(self, key: Hashable) -> C | None:
        """Return an idle connection, now the caller's own, or None."""
        with self._lock:
            idle = self._idle.get(key)
            return idle.pop()[1] if idle else None

    def release(self, key: Hashable, connection: C, *, idle_s: float = IDLE_SECONDS) -> bool:
        """Keep a connection for the next call, for at most ``idle_s``. False: close it instead."""
        with self._lock:
            count = sum(len(idle) for idle in self._idle.values())
            limit = 1 if count >= MAX_IDLE else MAX_PER_KEY
            if not self.is_enabled or len(self._idle[key]) >= limit:
                return False
            self._idle[key].append((time.monotonic() + idle_s, connection))
            return True

    def close_idle(self, *, early: bool = False) -> int:
        """Close connections that were idle for too long, or ``early`` all. Returns how many."""
        now = time.monotonic()
        expired: list[C] = []
        with self._lock:
            for key, idle in list(self._idle.items()):
                expired += [connection for until, connection in idle if early or until <= now]
                self._idle[key] = [] if early else [item for item in idle if item[0] > now]
                if not self._idle[key]:
                    del self._idle[key]
        for connection in expired:
            connection.close()
        return len(expired)

    def stop(self) -> None:
        """Close all connections and keep none from now on."""
        self.is_enabled = False
        self.close_idle(early=True)


connections: IdlePool[Closable] = IdlePool()
