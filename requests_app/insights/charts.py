"""The geometry of bar and line charts, in the units of their viewBox. Templates draw them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

LEFT, RIGHT, TOP, BASE = 34, 440, 12, 142
MAX_LABELS = 15
MAX_TICKS = 4
MIN_MONTH_WIDTH = 56


@dataclass(frozen=True)
class Tick:
    """A horizontal line, and the number at its left."""

    y: float
    text: str


@dataclass(frozen=True)
class Label:
    """A text below the days."""

    x: float
    text: str


@dataclass(frozen=True)
class Block:
    """A part of a day's bar. ``kind`` selects its colour."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Axes:
    ticks: list[Tick]
    days: list[Label]
    months: list[Label]


@dataclass(frozen=True)
class Kind:
    """One kind of what is counted, with its total."""

    name: str
    label: str
    total: int


@dataclass(frozen=True)
class Bars:
    """A stacked bar per day; ``rows`` is the table behind it."""

    kinds: list[Kind]
    axes: Axes
    blocks: list[Block]
    rows: list[tuple[date, list[int]]]
    summary: str


@dataclass(frozen=True)
class Line:
    """A line through the days that have a value. ``end`` labels the last one."""

    kind: str
    path: str
    end: Label
    y: float


def bars_of(
    days: Sequence[date], labels: dict[str, str], counts: Sequence[dict[str, int]], *, what: str
) -> Bars:
    """Stack each day's counts in the order of ``labels``; ``what`` is their name in the plural."""
    sums = [sum(day_counts.get(name, 0) for name in labels) for day_counts in counts]
    largest = max(sums, default=0)
    slot, top = _slot(days), ticks_for(largest)[-1]
    blocks = []
    for number, day_counts in enumerate(counts):
        x, level = LEFT + number * slot, float(BASE)
        for name in labels:
            if count := day_counts.get(name, 0):
                height = (BASE - TOP) * count / top
                level -= height
                blocks.append(_block(name, x, level, slot, height))
    totals = {name: sum(day_counts.get(name, 0) for day_counts in counts) for name in labels}
    kinds = [Kind(name, label, totals[name]) for name, label in labels.items()]
    rows = [
        (day, [day_counts.get(name, 0) for name in labels])
        for day, day_counts in zip(days, counts, strict=True)
    ]
    return Bars(kinds, axes_of(days, largest), blocks, rows, _summary(days, kinds, sums, what))


def line_of(
    kind: str, days: Sequence[date], values: Sequence[float | None], *, top: float, label: str
) -> Line | None:
    """Return the line through the values there are, None if there are none. ``label`` is its end's."""
    slot = _slot(days)
    points = [
        (round(LEFT + (number + 0.5) * slot, 1), _y(value, top))
        for number, value in enumerate(values)
        if value is not None
    ]
    if not points:
        return None
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    x, y = points[-1]
    return Line(kind, path, Label(x, label), y)


def axes_of(days: Sequence[date], largest: float) -> Axes:
    steps = ticks_for(largest)
    ticks = [Tick(_y(step, steps[-1]), f"{step:,}") for step in steps]
    slot = _slot(days)
    interval = math.ceil(len(days) / MAX_LABELS)
    labels, months = [], []
    for number, day in enumerate(days):
        if (len(days) - 1 - number) % interval == 0:
            labels.append(Label(round(LEFT + (number + 0.5) * slot, 1), str(day.day)))
        if number == 0 or (day.day == 1 and number > 2):
            months.append(Label(round(LEFT + number * slot, 1), f"{day:%B}"))
    if len(months) > 1 and months[1].x - months[0].x < MIN_MONTH_WIDTH:
        del months[0]
    return Axes(ticks, labels, months)


def ticks_for(largest: float) -> list[int]:
    """Return round numbers from 0 to at least ``largest``, at most `MAX_TICKS` above 0."""
    step = 1
    while step * MAX_TICKS < largest:
        digit = int(str(step)[0])
        step = step * 5 // 2 if digit == 2 else step * 2
    return [step * number for number in range(max(1, math.ceil(largest / step)) + 1)]


def width_of(count: int, largest: int, *, full: int = 236) -> float:
    """Return the length of a horizontal bar; a small count stays visible."""
    return max(3.0, round(full * count / largest, 1)) if count and largest else 0


def _slot(days: Sequence[date]) -> float:
    """Return the width of a day."""
    return (RIGHT - LEFT) / max(len(days), 1)


def _block(name: str, x: float, y: float, slot: float, height: float) -> Block:
    gap = min(8.0, slot / 3)
    return Block(
        name,
        round(x + gap / 2, 1),
        round(y, 1),
        round(slot - gap, 1),
        round(max(height - 1, 0.6), 1),
    )


def _y(value: float, top: float) -> float:
    return round(BASE - (BASE - TOP) * value / (top or 1), 1)


def _summary(days: Sequence[date], kinds: list[Kind], sums: list[int], what: str) -> str:
    if not any(sums):
        return f"No {what} in these {len(days)} days."
    totals = ", ".join(f"{kind.total:,} {kind.label.lower()}" for kind in kinds if kind.total)
    busiest = max(range(len(sums)), key=sums.__getitem__)
    return f"{totals}. Most on {days[busiest]:%-d %B}: {sums[busiest]:,}."
