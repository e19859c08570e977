"""Password hashing that a web server can afford, and how many hashes it computes at once.

Argon2id with 19 MiB, two passes and one thread: OWASP's Password Storage Cheat Sheet. A stored password with
other parameters is hashed again when its owner signs in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher

from apono_portal.users.exceptions import PasswordsBusy


class Line:
    """Lets a number of threads of this process in at once, and a few more wait for a short time."""

    def __init__(self, *, at_once: int, waiting: int, wait_s: float) -> None:
        self._places = BoundedSemaphore(at_once + waiting)
        self._turns = BoundedSemaphore(at_once)
        self._wait_s = wait_s

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold a turn, or raise `PasswordsBusy` if there are too many before this thread."""
        if not self._places.acquire(blocking=False):
            raise PasswordsBusy
        try:
            if not self._turns.acquire(timeout=self._wait_s):
                raise PasswordsBusy
            try:
                yield
            finally:
                self._turns.release()
        finally:
            self._places.release()


# All hashes of a process. Each takes 19 MiB.
HASHES = Line(at_once=3, waiting=8, wait_s=5.0)


class PasswordHasher(Argon2PasswordHasher):
    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with HASHES.turn():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with HASHES.turn():
            return bool(super().verify(password, encoded))
