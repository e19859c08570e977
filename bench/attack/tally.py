"""Counting: attempts and successes of each attack, the chance of a guess, the table and the file."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CODES = 1_000_000
CODES_ACCEPTED = 3  # now and one step either side (RFC 6238, section 5.2)
DAY_S = 24 * 3600
MONTH_S = 30 * DAY_S
MOST_KEPT = 20


@dataclass
class Score:
    """What one attack tried and got. Shared by its threads."""

    name: str
    attempts: int = 0
    successes: int = 0
    seen: list[str] = field(default_factory=list)
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def tried(self, times: int = 1) -> None:
        with self._lock:
            self.attempts += times

    def got(self, what: str) -> None:
        """Count a success and keep what it was, for whoever has to find the hole."""
        with self._lock:
            self.successes += 1
            if len(self.seen) < MOST_KEPT and what not in self.seen:
                self.seen.append(what)

    def as_dict(self) -> dict[str, Any]:
        found = {"name": self.name, "attempts": self.attempts, "successes": self.successes}
        return found | ({"seen": self.seen} if self.seen else {})


def most_within(instants: Iterable[float], period_s: float) -> int:
    """Return how many of these instants fall into the fullest period of that length."""
    ordered, most, first = sorted(instants), 0, 0
    for last, instant in enumerate(ordered):
        while instant - ordered[first] >= period_s:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass
class Patience:
    """Instants, on the portal's clock, at which a code was looked at, by victim."""

    scanned_at: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    owner_rounds: int = 0

    def most(self, period_s: float) -> int:
        return max((most_within(each, period_s) for each in self.scanned_at.values()), default=0)

    @property
    def per_day(self) -> int:
        return self.most(DAY_S)

    @property
    def per_month(self) -> int:
        return self.most(MONTH_S)


@dataclass
class Controls:
    """What the owners met. ``locked_out`` counts refusals for somebody else's attempts."""

    rounds: int = 0
    locked_out: int = 0
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def failed(self, what: str, *, locked_out: bool = False) -> None:
        with self.lock:
            self.locked_out += locked_out
            self.failures.append(what)

    def done(self, seconds: float) -> None:
        with self.lock:
            self.rounds += 1
            self.slowest_s = max(self.slowest_s, seconds)

    def as_dict(self) -> dict[str, object]:
        return {
            "rounds": self.rounds,
            "failures": self.failures[:20],
            "slowest_round_s": round(self.slowest_s, 1),
        }


def guess_chance(codes_tried: int) -> float:
    """Return the chance that this many codes, each looked at by the portal, hold a right one.

    The bound, not the slightly smaller exact value: every try meets three accepted codes.
    """
    return codes_tried * CODES_ACCEPTED / CODES


def table(rows: Sequence[Sequence[object]], head: Sequence[str]) -> str:
    """Return rows as a table for a terminal; numbers stand right."""
    cells = [[f"{c:,}" if isinstance(c, int) else str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    right = [all(isinstance(row[i], int | float) for row in rows) for i in range(len(head))]

    def line(texts: Sequence[str]) -> str:
        pairs = zip(texts, widths, right, strict=True)
        return "  ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in pairs).rstrip()

    return "\n".join([line(head), "  ".join("-" * w for w in widths), *map(line, cells)])


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
