"""Counting: attempts and successes of each attack, the control users' rounds, the chance of a guess."""

import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

CODES = 1_000_000
ACCEPTED_CODES = 3  # now and one step either side (RFC 6238, section 5.2)
DAY_S = 24 * 3600
MONTH_S = 30 * DAY_S
MAX_DETAILS = 20


@dataclass
class Score:
    """Attempts and successes of one attack. Shared by its threads."""

    name: str
    attempts: int = 0
    successes: int = 0
    details: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add_attempts(self, number: int = 1) -> None:
        with self._lock:
            self.attempts += number

    def add_success(self, detail: str) -> None:
        """Count a success and keep what it was, for whoever has to find the hole."""
        with self._lock:
            self.successes += 1
            if len(self.details) < MAX_DETAILS and detail not in self.details:
                self.details.append(detail)

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "attempts": self.attempts, "successes": self.successes}


def max_within(instants: Iterable[float], period_s: float) -> int:
    """Return how many instants fall into the fullest period of that length."""
    ordered, fullest, first = sorted(instants), 0, 0
    for last, instant in enumerate(ordered):
        while instant - ordered[first] >= period_s:
            first += 1
        fullest = max(fullest, last - first + 1)
    return fullest


@dataclass
class CheckedGuesses:
    """Instants, on the portal's clock, at which the portal checked a guess, by victim."""

    instants: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def max_within(self, period_s: float) -> int:
        return max((max_within(row, period_s) for row in self.instants.values()), default=0)

    @property
    def per_day(self) -> int:
        return self.max_within(DAY_S)

    @property
    def per_month(self) -> int:
        return self.max_within(MONTH_S)


@dataclass
class Controls:
    """How the control users fared. ``locked_out`` counts refusals caused by somebody else's attempts."""

    rounds: int = 0
    days: int = 0  # of the moved clock, with a verification on each
    locked_out: int = 0
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add_failure(self, detail: str, *, locked_out: bool = False) -> None:
        with self.lock:
            self.locked_out += locked_out
            self.failures.append(detail)

    def as_dict(self) -> dict[str, object]:
        return {"rounds": self.rounds, "days": self.days, "failures": self.failures[:20]}


def guess_chance(codes_checked: int) -> float:
    """Return the chance that one of this many checked guesses is right.

    It is the bound, not the slightly smaller exact value: each guess meets three accepted codes.
    """
    return codes_checked * ACCEPTED_CODES / CODES
