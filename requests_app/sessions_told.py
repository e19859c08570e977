"""How many sessions this process told to end at the very moment of an end, until it is on the record."""

import threading
import uuid
from collections.abc import Iterable


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
