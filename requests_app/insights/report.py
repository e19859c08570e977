"""What the Insights page shows of a range of days, from the figures stored by daily_rollup.py."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from accessflows.models import AccessFlow
from mfa.models import Method
from requests_app.insights.aggregation import Figures
from requests_app.insights.charts import (
    Axes,
    Bars,
    Line,
    axes_of,
    bars_of,
    line_of,
    ticks_for,
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
    "bad": "Incorrect",
    "replay": "Already used",
    "throttled": "Locked out",
    "no_device": "Not set up",
    "refused": "Passkey refused",
}
METHODS = dict(Method.choices)
ATTACKS = {
    "sign_in_refused": "Sign-ins refused",
    "sign_in_blocked": "Sign-ins blocked",
    "code_refused": "Codes refused",
    "code_blocked": "Codes blocked",
    "month_limit": "30-day limit reached",
}
BREAK_GLASS = {"used": "Used", "reviewed": "Reviewed"}
LOCKOUTS = ("sign_in_blocked", "code_blocked", "month_limit")
DELAYS = {
    "punctual": "Within 5 s",
    "minute": "Within 1 min",
    "five_minutes": "Within 5 min",
    "later": "Later",
}
MAX_UNUSED = 10
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Share:
    """A horizontal bar."""

    label: str
    count: int
    width: float
    is_bad: bool = False


@dataclass(frozen=True)
class TimeToAccess:
    """Time from request to access by day: median and slowest tenth."""

    axes: Axes
    unit: str
    lines: list[Line]
    rows: list[tuple[date, str, str]]
    last: tuple[date, str] | None
    first: tuple[date, str] | None
    summary: str


@dataclass(frozen=True)
class Revocations:
    """How punctually expired access was revoked. ``punctual`` is in per cent, None if nothing expired."""

    shares: list[Share]
    punctual: float | None
    worst: Figures


@dataclass(frozen=True)
class UnusedFlows:
    """Active flows without a request, the oldest first."""

    flows: list[AccessFlow]
    further: int
    active: int


@dataclass(frozen=True)
class Insights:
    days: list[date]
    first_counted: date | None
    counted_at: datetime | None
    coverage: Figures | None
    requests: Bars
    verifications: Bars
    methods: list[Share]
    attacks: list[Share]
    lockouts: int
    break_glass: list[Share]
    time_to_access: TimeToAccess
    revocations: Revocations
    unused: UnusedFlows


def insights_between(first: date, last: date) -> Insights:
    """Return the insights of the days from ``first`` to ``last``, both included."""
    stored = DayFigures.objects.in_zone(zone()).filter(
        day__range=(first, last), counted_at__isnull=False
    )
    rows = {row.day: row for row in stored.order_by("day")}
    days = [first + number * ONE_DAY for number in range((last - first).days + 1)]
    figures = [rows[day].figures if day in rows else {} for day in days]
    attacks = _sum(figures, "attacks")
    coverages = [row.coverage for row in rows.values() if row.coverage]
    return Insights(
        days=days,
        first_counted=min(rows, default=None),
        counted_at=max((row.counted_at for row in rows.values() if row.counted_at), default=None),
        coverage=coverages[-1] if coverages else None,
        requests=bars_of(days, REQUESTS, _parts(figures, "requests"), what="requests completed"),
        verifications=bars_of(
            days, VERIFICATIONS, _parts(figures, "verifications"), what="codes entered"
        ),
        methods=_shares(METHODS, _sum(figures, "methods")),
        attacks=_shares(ATTACKS, attacks),
        lockouts=sum(attacks[name] for name in LOCKOUTS),
        break_glass=_shares(BREAK_GLASS, _sum(figures, "break_glass")),
        time_to_access=_time_to_access(days, _parts(figures, "time_to_access")),
        revocations=_revocations(_parts(figures, "revocations")),
        unused=_unused_flows(_sum(figures, "flows")),
    )


def short_duration(seconds: float) -> str:
    """Return ``41 s``, ``9 min`` or ``2 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _parts(figures: list[Figures], name: str) -> list[Figures]:
    return [day_figures.get(name, {}) for day_figures in figures]


def _sum(figures: list[Figures], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in _parts(figures, name):
        total.update(part)
    return total


def _shares(labels: dict[str, str], counts: Counter[str]) -> list[Share]:
    largest = max(counts[name] for name in labels)
    return [
        Share(label, counts[name], width_of(counts[name], largest))
        for name, label in labels.items()
    ]


def _time_to_access(days: list[date], parts: list[Figures]) -> TimeToAccess:
    medians: list[float | None] = [part.get("median_s") for part in parts]
    slowest: list[float | None] = [part.get("slowest_s") for part in parts]
    values = [
        (day, median_s, slow_s)
        for day, median_s, slow_s in zip(days, medians, slowest, strict=True)
        if median_s is not None and slow_s is not None
    ]
    largest = max((slow_s for _, _, slow_s in values), default=0.0)
    unit, unit_s = _unit_for(largest)
    top = ticks_for(largest / unit_s)[-1]
    lines = [
        line_of(
            kind,
            days,
            [value if value is None else value / unit_s for value in seconds],
            top=top,
            label=short_duration(next((s for s in reversed(seconds) if s is not None), 0)),
        )
        for kind, seconds in (("slowest", slowest), ("median", medians))
    ]
    rows = [(day, short_duration(median), short_duration(slow)) for day, median, slow in values]
    return TimeToAccess(
        axes=axes_of(days, largest / unit_s),
        unit=unit,
        lines=[line for line in lines if line],
        rows=rows,
        last=rows[-1][:2] if rows else None,
        first=rows[0][:2] if len(rows) > 1 else None,
        summary=_time_to_access_summary(values),
    )


def _unit_for(seconds: float) -> tuple[str, int]:
    if seconds < 180:
        return "Seconds", 1
    return ("Minutes", 60) if seconds < 3 * 3600 else ("Hours", 3600)


def _time_to_access_summary(values: list[tuple[date, float, float]]) -> str:
    if not values:
        return "No access was granted in this period."
    _, medians, slowest = zip(*values, strict=True)
    return (
        f"Median between {short_duration(min(medians))} and {short_duration(max(medians))}; slowest "
        f"tenth between {short_duration(min(slowest))} and {short_duration(max(slowest))}."
    )


def _revocations(parts: list[Figures]) -> Revocations:
    counts: Counter[str] = Counter()
    worst: Figures = {}
    for part in parts:
        counts.update({name: part.get(name, 0) for name in (*DELAYS, "retried")})
        if part.get("worst", {}).get("delay_s", 0) > worst.get("delay_s", 0):
            worst = {**part["worst"], "delay": short_duration(part["worst"]["delay_s"])}
    total, retried = sum(counts[name] for name in DELAYS), counts["retried"]
    largest = max(retried, *(counts[name] for name in DELAYS))
    return Revocations(
        shares=[
            *_shares(DELAYS, counts),
            Share("Retried", retried, width_of(retried, largest), is_bad=retried > 0),
        ],
        punctual=1000 * counts["punctual"] // total / 10 if total else None,
        worst=worst,
    )


def _unused_flows(used: Counter[str]) -> UnusedFlows:
    active = list(AccessFlow.objects.active().order_by("created_at"))
    unused = [flow for flow in active if not used[str(flow.pk)]]
    return UnusedFlows(unused[:MAX_UNUSED], max(len(unused) - MAX_UNUSED, 0), len(active))
