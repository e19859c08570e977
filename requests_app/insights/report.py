"""What the page of insights shows of a range of days. Everything was counted before (keeping.py)."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from accessflows.models import AccessFlow
from requests_app.insights.charts import (
    Axes,
    Bars,
    Line,
    axes_of,
    bars_of,
    line_of,
    steps_for,
    width_of,
)
from requests_app.insights.daily_rollup import zone
from requests_app.models import DayFigures

REQUESTS = {
    "granted": "Granted",
    "rejected": "Rejected",
    "lapsed": "Lapsed",
    "cancelled": "Cancelled",
    "failed": "Failed",
}
VERIFICATIONS = {
    "ok": "Verified",
    "bad": "Did not match",
    "replay": "Used before",
    "throttled": "Held off",
    "no_device": "Not set up",
}
ATTACKS = {
    "sign_in_refused": "Sign-ins refused",
    "sign_in_held_off": "Sign-ins held off",
    "code_refused": "Codes refused",
    "code_held_off": "Codes held off",
    "month_limit": "30-day limit reached",
}
HOLDS = ("sign_in_held_off", "code_held_off", "month_limit")
LATENESS = {
    "punctual": "Within 5 s",
    "minute": "Within 1 min",
    "five_minutes": "Within 5 min",
    "later": "Later",
}
MOST_UNUSED = 10
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Share:
    """A lying bar: a word, a number, how long it is drawn."""

    word: str
    count: int
    width: float
    is_bad: bool = False


@dataclass(frozen=True)
class Opening:
    """Time from draft to access: the last day's median and slowest tenth, and the first day's."""

    axes: Axes
    unit: str
    lines: list[Line]
    rows: list[tuple[date, str, str]]
    last: tuple[date, str] | None
    first: tuple[date, str] | None
    finding: str


@dataclass(frozen=True)
class Ending:
    """How punctually access was cut. ``punctual`` is in per cent, None if nothing ended by time."""

    shares: list[Share]
    punctual: float | None
    count: int
    worst: dict[str, Any]


@dataclass(frozen=True)
class Unused:
    """Active flows nobody asked through, longest there first."""

    flows: list[AccessFlow]
    further: int
    active: int


@dataclass(frozen=True)
class Insights:
    days: list[date]
    begins: date | None  # the first day that was counted
    counted_at: datetime | None
    coverage: dict[str, Any] | None
    requests: Bars
    verifications: Bars
    attacks: list[Share]
    holds: int
    opening: Opening
    ending: Ending
    unused: Unused


def insights_of(first: date, last: date) -> Insights:
    """Return what there is to say of the days from ``first`` to ``last``. Two queries."""
    kept = {
        row.day: row
        for row in DayFigures.objects.in_zone(zone()).filter(
            day__range=(first, last), counted_at__isnull=False
        )
    }
    days = [first + number * ONE_DAY for number in range((last - first).days + 1)]
    figures = [kept[day].figures if day in kept else {} for day in days]
    counted = [kept[day] for day in days if day in kept]
    attacks = _sum(figures, "attacks")
    covered = [row.coverage for row in counted if row.coverage]
    return Insights(
        days=days,
        begins=counted[0].day if counted else None,
        counted_at=max((row.counted_at for row in counted if row.counted_at), default=None),
        coverage=covered[-1] if covered else None,
        requests=bars_of(days, REQUESTS, _each(figures, "requests"), what="requests ended"),
        verifications=bars_of(
            days, VERIFICATIONS, _each(figures, "verifications"), what="codes were entered"
        ),
        attacks=_shares(ATTACKS, attacks),
        holds=sum(attacks[name] for name in HOLDS),
        opening=_opening(days, _each(figures, "opening")),
        ending=_ending(_each(figures, "ending")),
        unused=_unused(_sum(figures, "flows")),
    )


def in_words(seconds: float) -> str:
    """Return a time as people say it: ``41 s``, ``9 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _each(figures: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [found.get(name, {}) for found in figures]


def _sum(figures: list[dict[str, Any]], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for found in _each(figures, name):
        total.update(found)
    return total


def _shares(words: dict[str, str], counts: Counter[str]) -> list[Share]:
    largest = max((counts[name] for name in words), default=0)
    return [
        Share(word, counts[name], width_of(counts[name], largest)) for name, word in words.items()
    ]


def _opening(days: list[date], found: list[dict[str, Any]]) -> Opening:
    medians: list[Any] = [each.get("median_s") for each in found]
    slowest: list[Any] = [each.get("slowest_s") for each in found]
    known = [each for each in zip(days, medians, slowest, strict=True) if each[1] is not None]
    largest = max((float(each[2]) for each in known), default=0.0)
    unit, length = _unit_for(largest)
    top = steps_for(largest / length)[-1]
    rows = [(day, in_words(middle), in_words(slow)) for day, middle, slow in known]
    lines = [
        line_of(kind, days, [v and v / length for v in values], top=top, said=in_words(last))
        for kind, values in (("slowest", slowest), ("median", medians))
        if (last := next((v for v in reversed(values) if v is not None), None)) is not None
    ]
    return Opening(
        axes=axes_of(days, largest / length),
        unit=unit,
        lines=[line for line in lines if line],
        rows=rows,
        last=rows[-1][:2] if rows else None,
        first=rows[0][:2] if len(rows) > 1 else None,
        finding=_opening_finding(known),
    )


def _unit_for(seconds: float) -> tuple[str, int]:
    if seconds < 180:
        return "Seconds", 1
    return ("Minutes", 60) if seconds < 3 * 3600 else ("Hours", 3600)


def _opening_finding(known: list[Any]) -> str:
    if not known:
        return "No access was opened in these days."
    medians, slowest = [each[1] for each in known], [each[2] for each in known]
    return (
        f"Median between {in_words(min(medians))} and {in_words(max(medians))}; slowest tenth "
        f"between {in_words(min(slowest))} and {in_words(max(slowest))}."
    )


def _ending(found: list[dict[str, Any]]) -> Ending:
    counts: Counter[str] = Counter()
    worst: dict[str, Any] = {}
    for each in found:
        counts.update({name: each.get(name, 0) for name in (*LATENESS, "retried")})
        if each.get("worst", {}).get("late_s", 0) > worst.get("late_s", 0):
            worst = {**each["worst"], "said": in_words(each["worst"]["late_s"])}
    total = sum(counts[name] for name in LATENESS)
    largest = max((counts[name] for name in LATENESS), default=0)
    retried = Share(
        "Tried again",
        counts["retried"],
        width_of(counts["retried"], max(largest, counts["retried"])),
        is_bad=counts["retried"] > 0,
    )
    return Ending(
        shares=[*_shares(LATENESS, counts), retried],
        punctual=1000 * counts["punctual"] // total / 10 if total else None,
        count=total,
        worst=worst,
    )


def _unused(used: Counter[str]) -> Unused:
    active = list(AccessFlow.objects.active().order_by("created_at"))
    unused = [flow for flow in active if not used[str(flow.pk)]]
    return Unused(unused[:MOST_UNUSED], max(len(unused) - MOST_UNUSED, 0), len(active))
