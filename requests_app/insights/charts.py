"""Where the bars and lines of a chart stand, in the units of its viewBox. Templates draw them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

LEFT, RIGHT, TOP, BASE = 34, 440, 12, 142
MOST_LABELS = 15
MOST_TICKS = 4


@dataclass(frozen=True)
class Tick:
    """A line across, and the number at its left."""

    y: float
    text: str


@dataclass(frozen=True)
class Label:
    """A word under the days."""

    x: float
    text: str


@dataclass(frozen=True)
class Block:
    """A part of a day's bar. ``kind`` names its colour."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Axes:
    """What stands around the days: lines, their numbers, days and months."""

    ticks: list[Tick]
    days: list[Label]
    months: list[Label]


@dataclass(frozen=True)
class Kind:
    """One kind of thing that is counted, and how many there were."""

    name: str
    word: str
    total: int


@dataclass(frozen=True)
class Bars:
    """A bar for each day, of blocks; ``rows`` is the table behind it."""

    kinds: list[Kind]
    axes: Axes
    blocks: list[Block]
    rows: list[tuple[date, list[int]]]
    finding: str

    @property
    def total(self) -> int:
        return sum(kind.total for kind in self.kinds)


@dataclass(frozen=True)
class Line:
    """A line through the days that have a value."""

    kind: str
    path: str
    end: Label  # the last value, where the line ends
    y: float


def bars_of(
    days: Sequence[date], words: dict[str, str], counts: Sequence[dict[str, int]], *, what: str
) -> Bars:
    """Stack each day's counts in the order of ``words``; ``what`` names them all in the plural."""
    sums = [sum(found.get(name, 0) for name in words) for found in counts]
    top = steps_for(max(sums, default=0))[-1]
    slot = (RIGHT - LEFT) / max(len(days), 1)
    blocks = []
    for number, found in enumerate(counts):
        x, level = LEFT + number * slot, float(BASE)
        for name in words:
            if count := found.get(name, 0):
                height = (BASE - TOP) * count / top
                level -= height
                blocks.append(_block(name, x, level, slot, height))
    kinds = [Kind(n, word, sum(c.get(n, 0) for c in counts)) for n, word in words.items()]
    rows = [(day, [c.get(n, 0) for n in words]) for day, c in zip(days, counts, strict=True)]
    axes = axes_of(days, max(sums, default=0))
    return Bars(kinds, axes, blocks, rows, _finding(days, kinds, sums, what))


def line_of(
    kind: str, days: Sequence[date], values: Sequence[float | None], *, top: float, said: str
) -> Line | None:
    """Return the line through what there is, None for nothing. ``said`` is its last value in words."""
    slot = (RIGHT - LEFT) / max(len(days), 1)
    points = [
        (round(LEFT + (number + 0.5) * slot, 1), _height_of(value, top))
        for number, value in enumerate(values)
        if value is not None
    ]
    if not points:
        return None
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    x, y = points[-1]
    return Line(kind, path, Label(x, said), y)


def axes_of(days: Sequence[date], largest: float) -> Axes:
    steps = steps_for(largest)
    ticks = [Tick(_height_of(step, steps[-1]), f"{step:,}") for step in steps]
    slot = (RIGHT - LEFT) / max(len(days), 1)
    every = math.ceil(len(days) / MOST_LABELS)
    labels, months = [], []
    for number, day in enumerate(days):
        x = round(LEFT + (number + 0.5) * slot, 1)
        if (len(days) - 1 - number) % every == 0:
            labels.append(Label(x, str(day.day)))
        if number == 0 or (day.day == 1 and number > 2):
            months.append(Label(round(LEFT + number * slot, 1), f"{day:%B}"))
    return Axes(ticks, labels, _apart(months))


def steps_for(largest: float) -> list[int]:
    """Return round numbers from 0 to at least ``largest``, at most `MOST_TICKS` above 0."""
    step = 1
    while step * MOST_TICKS < largest:
        digit = int(str(step)[0])
        step = step * 5 // 2 if digit == 2 else step * 2
    return [step * number for number in range(max(1, math.ceil(largest / step)) + 1)]


def width_of(count: int, largest: int, *, full: int = 236) -> float:
    """Return how long a lying bar is; what there is shows, however little."""
    return max(3.0, round(full * count / largest, 1)) if count and largest else 0


def _block(name: str, x: float, y: float, slot: float, height: float) -> Block:
    gap = min(8.0, slot / 3)
    return Block(
        name,
        round(x + gap / 2, 1),
        round(y, 1),
        round(slot - gap, 1),
        round(max(height - 1, 0.6), 1),
    )


def _height_of(value: float, top: float) -> float:
    return round(BASE - (BASE - TOP) * value / (top or 1), 1)


def _apart(months: list[Label]) -> list[Label]:
    """Drop a first month whose word would run into the second's."""
    close = len(months) > 1 and months[1].x - months[0].x < 56
    return months[1:] if close else months


def _finding(days: Sequence[date], kinds: list[Kind], sums: list[int], what: str) -> str:
    if not sum(sums):
        return f"No {what} in these {len(days)} days."
    said = ", ".join(f"{kind.total:,} {kind.word.lower()}" for kind in kinds if kind.total)
    most = max(range(len(sums)), key=sums.__getitem__)
    return f"{said}. Most on {days[most]:%-d %B}: {sums[most]:,}."
