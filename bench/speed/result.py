"""The figures: rows with a name, a value, a unit and what bounds them; a table and a JSON file."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.speed.ground import ROOT

RESULT = ROOT / "bench" / "results" / "bench.json"


@dataclass(frozen=True)
class Row:
    """One figure. ``target`` bounds ``ratio``: "<= 2.6", say. Both are None where nothing is bound."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    target: str | None = None

    @property
    def holds(self) -> bool:
        if self.ratio is None or self.target is None:
            return True
        sign, bound = self.target.split()
        return self.ratio <= float(bound) if sign == "<=" else self.ratio >= float(bound)


def bound(name: str, value: float, unit: str, target: str) -> Row:
    """A row whose value itself is bounded."""
    return Row(name, round(value, 3), unit, round(value, 2), target)


def load() -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(RESULT.read_text())
    except (OSError, ValueError):
        return {"parts": {}, "rows": []}
    return kept


def keep(part: str, rows: list[Row], seconds: float) -> None:
    """Put a part's rows in the place of its former ones; the other parts' figures stay."""
    kept = load()
    parts = kept.get("parts", {})
    parts[part] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "seconds": round(seconds),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "load": round(os.getloadavg()[0], 1),  # above the number of cores: walls waited for others
        "rows": [row.name for row in rows],
    }
    known = {each["name"]: each for each in kept.get("rows", [])}
    known.update({row.name: asdict(row) for row in rows})
    told = [name for each in parts.values() for name in each["rows"]]
    RESULT.parent.mkdir(exist_ok=True)
    whole = {"parts": parts, "rows": [known[name] for name in told]}
    aside = RESULT.with_suffix(".new")
    aside.write_text(json.dumps(whole, indent=1) + "\n")
    aside.replace(RESULT)


def rows_of(part: str) -> list[Row]:
    kept = load()
    names = kept["parts"][part]["rows"]
    return [Row(**each) for each in kept["rows"] if each["name"] in names]


def commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        asked, cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


def table(rows: list[Row]) -> str:
    lines = [f"{'':<58} {'value':>10} {'unit':<10} {'ratio':>7}  target"]
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        mark = "" if row.target is None else ("  ok" if row.holds else "  NOT REACHED")
        lines.append(
            f"{row.name:<58} {row.value:>10,.2f} {row.unit:<10} {ratio:>7}  {row.target or ''}{mark}"
        )
    return "\n".join(lines)


def path_of_result() -> Path:
    return RESULT
