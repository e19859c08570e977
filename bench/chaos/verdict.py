"""The outcome of a scenario, and of the whole run in one table and one file."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.report import format_table, quantile

SHARES = {"p50": 0.5, "p99": 0.99, "max": 1.0}


@dataclass
class Verdict:
    """``usable_past_end`` and ``left_behind`` are the target's word. ``note`` is for readers."""

    name: str
    grants: int = 0
    ended: int = 0
    usable_past_end: int = 0
    left_behind: int = 0
    kills: int = 0
    contained_s: list[float] = field(default_factory=list)
    note: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        is_clean = not self.usable_past_end and not self.left_behind and not self.faults
        return self.ended == self.grants and is_clean

    def __str__(self) -> str:
        within = f"contained within {quantile(self.contained_s, 1):.2f} s"
        if self.holds:
            return f"held, {within}"
        counts = (
            f"{self.ended} of {self.grants} ended, {self.usable_past_end} usable past their end"
        )
        return f"FAILED, {within}, {counts}, {self.left_behind} left. {' '.join(self.faults[:3])}"

    def quantiles(self) -> dict[str, float | None]:
        values = {name: quantile(self.contained_s, share) for name, share in SHARES.items()}
        return {name: None if math.isnan(v) else round(v, 3) for name, v in values.items()}


def print_table(verdicts: Sequence[Verdict]) -> None:
    headings = ("scenario", "grants", "ended", "usable past end", "left behind", "kills",
                *(f"{name} s" for name in SHARES), "")  # fmt: skip
    rows = [
        (v.name, v.grants, v.ended, v.usable_past_end, v.left_behind, v.kills,
         *v.quantiles().values(), "held" if v.holds else "FAILED")
        for v in verdicts
    ]  # fmt: skip
    print("\n" + format_table(rows, headings))
    for verdict in verdicts:
        for line in filter(None, [verdict.note, *verdict.faults]):
            print(f"  {verdict.name}: {line}")


def summary(verdicts: Sequence[Verdict], storm: Verdict | None) -> dict[str, Any]:
    """``contained_*`` are of the storm: that many grants that end in the same second."""
    totals = ("grants", "ended", "usable_past_end", "left_behind", "kills")
    contained = (storm or Verdict("")).quantiles()
    return {
        **{name: sum(getattr(verdict, name) for verdict in verdicts) for name in totals},
        **{f"contained_{name}_s": value for name, value in contained.items()},
        "scenarios": [
            asdict(verdict) | {"contained_s": verdict.quantiles(), "holds": verdict.holds}
            for verdict in verdicts
        ],
    }
