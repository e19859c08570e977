"""Password hashing that a web server can afford, and how many hashes it computes at once.

Argon2id with 19 MiB, two passes and one thread: OWASP's Password Storage Cheat Sheet. A stored password with
other parameters is hashed again when its owner signs in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher

from apono_portal.users.exceptions import PasswordsBusy


class ConcurrencyLimit:
    """Lets a number of threads of this process run at once, and a few more wait for a short time."""

    def __init__(self, *, at_once: int, waiting: int, wait_s: float) -> None:
        self._admitted = BoundedSemaphore(at_once + waiting)
        self._running = BoundedSemaphore(at_once)
        self._wait_s = wait_s

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot, or raise `PasswordsBusy` if too many threads run or wait already."""
        if not self._admitted.acquire(blocking=False):
            raise PasswordsBusy
        try:
            if not self._running.acquire(timeout=self._wait_s):
                raise PasswordsBusy
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._admitted.release()


# All hashes of a process. Each takes 19 MiB.
HASHES = ConcurrencyLimit(at_once=3, waiting=8, wait_s=5.0)


class PasswordHasher(Argon2PasswordHasher):
    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with HASHES.slot():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with HASHES.slot():
            return bool(super().verify(password, encoded))
