"""What came of a scenario, and the whole run in one table and one file."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"


@dataclass
class Verdict:
    """``usable_past_end`` and ``left_behind`` are the target's word. ``note`` is for people."""

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
        return (
            self.ended == self.grants
            and not self.usable_past_end
            and not self.left_behind
            and not self.faults
        )

    def __str__(self) -> str:
        if self.holds:
            return f"held, contained within {quantile(self.contained_s, 1):.2f} s"
        return (
            f"FAILED, contained within {quantile(self.contained_s, 1):.2f} s, {self.ended} of {self.grants} ended, {self.usable_past_end} usable past their "
            f"end, {self.left_behind} things left. {' '.join(self.faults[:3])}"
        )


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else math.nan


def print_table(verdicts: Sequence[Verdict]) -> None:
    heads = (
        "scenario",
        "grants",
        "ended",
        "usable past end",
        "left behind",
        "kills",
        "p50 s",
        "p99 s",
        "max s",
        "",
    )
    rows = [heads]
    for each in verdicts:
        figures = [
            f"{quantile(each.contained_s, share):.2f}" if each.contained_s else "-"
            for share in (0.5, 0.99, 1.0)
        ]
        rows.append((each.name, str(each.grants), str(each.ended), str(each.usable_past_end),
                     str(each.left_behind), str(each.kills), *figures, "held" if each.holds else "FAILED"))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join(cells))
    for each in verdicts:
        for line in filter(None, [each.note, *each.faults]):
            print(f"  {each.name}: {line}")


def write(
    name: str, verdicts: Sequence[Verdict], storm: Verdict | None, extra: dict[str, Any]
) -> None:
    """``contained_*`` are of the storm: that many grants ending in the same second."""
    seconds = storm.contained_s if storm else []
    told = {
        "grants": sum(each.grants for each in verdicts),
        "ended": sum(each.ended for each in verdicts),
        "usable_past_end": sum(each.usable_past_end for each in verdicts),
        "left_behind": sum(each.left_behind for each in verdicts),
        "contained_p50_s": _rounded(quantile(seconds, 0.5)),
        "contained_p99_s": _rounded(quantile(seconds, 0.99)),
        "contained_max_s": _rounded(quantile(seconds, 1.0)),
        "kills": sum(each.kills for each in verdicts),
        **extra,
        "scenarios": [
            asdict(each) | {"contained_s": _summary(each.contained_s), "holds": each.holds}
            for each in verdicts
        ],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(json.dumps(told, indent=2) + "\n")


def _summary(values: Sequence[float]) -> dict[str, float | None]:
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: _rounded(quantile(values, share)) for name, share in shares.items()}


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 3)
