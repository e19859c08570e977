"""What time, the target and workers do."""

from collections.abc import Callable

from django.utils import timezone

from requests_app.grants.extension import retry_extensions
from tests.fixtures.worker import sweep
from tests.stateful.invariants import Invariants
from tests.stateful.portal import RETRY
from tests.stateful.target import Killed, Mood

WORKER = "worker"


class WorkerActions(Invariants):
    def pass_time(self, seconds: int) -> None:
        self.shift_clock(seconds)

    def target_becomes(self, mood: Mood) -> None:
        self.target.mood = mood

    def work(self) -> None:
        self._sweep()
        if self.target.mood is not Mood.UP:
            self._expect_retries()
        elif timezone.now() >= self.healthy_from:
            self.assert_nothing_outlives()

    def work_and_die(self, at: int, after: bool) -> None:
        self.target.dies_at, self.target.dies_after = at, after
        try:
            self._sweep()
        except Killed:
            self._expect_retries()
        finally:
            self.target.dies_at = None
        if self.target.mood is not Mood.UP:
            self._expect_retries()

    def work_and_pause(self, at: int, after: bool, meanwhile: Callable[[], None]) -> None:
        """A worker is suspended at a call to the target; others act, with its lease run out."""
        self.target.pauses_at, self.target.pauses_after = at, after
        self.target.meanwhile = meanwhile
        self._sweep()
        self.target.pauses_at = None
        self._expect_retries()

    def calm(self) -> None:
        """The target is up again, and the worker has had its time."""
        self.target.mood = Mood.UP
        self.shift_clock((self.latest + RETRY - timezone.now()).total_seconds())
        self.settle()
        self.healthy_from = timezone.now()
        self.assert_nothing_outlives()

    def settle(self) -> None:
        for _ in range(20):
            if not self._sweep():
                return
        raise AssertionError("The worker does not come to rest.")

    def _sweep(self) -> int:
        extended = retry_extensions(now=timezone.now())
        return extended + sweep(WORKER, timezone.now())

    def _expect_retries(self) -> None:
        self.healthy_from = max(self.healthy_from, self.latest + RETRY)
