"""How figures are shown and kept: tables for the terminal and JSON files."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.environment import ROOT


def format_table(rows: Sequence[Sequence[object]], headings: Sequence[str]) -> str:
    """Return rows as aligned text. Columns of numbers are aligned right."""
    cells = [[_format_cell(value) for value in row] for row in rows]
    columns = range(len(headings))
    widths = [max(len(row[i]) for row in [list(headings), *cells]) for i in columns]
    right = [all(isinstance(row[i], int | float | None) for row in rows) for i in columns]

    def line(texts: Sequence[str]) -> str:
        columns = zip(texts, widths, right, strict=True)
        return "  ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in columns).rstrip()

    return "\n".join([line(headings), "  ".join("-" * w for w in widths), *map(line, cells)])


def _format_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


@dataclass(frozen=True)
class Figure:
    """One figure. ``bar`` is the most that ``ratio`` may be or, without a ratio, ``value``."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    bar: float | None = None

    @property
    def holds(self) -> bool:
        return self.bar is None or round(self.ratio or self.value, 2) <= self.bar


def save_figures(path: Path, part: str, figures: list[Figure], seconds: float) -> None:
    """Replace a part's figures in the file; those of other parts stay."""
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    commit = ["git", "rev-parse", "--short", "HEAD"]
    content[part] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": subprocess.run(commit, cwd=ROOT, capture_output=True, text=True).stdout.strip(),
        "seconds": round(seconds),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "load": round(os.getloadavg()[0], 1),  # above the number of cores: times include waiting
        "figures": [asdict(figure) for figure in figures],
    }
    write_json(path, content)


def format_figures(figures: list[Figure]) -> str:
    rows = []
    for figure in figures:
        bar = "" if figure.bar is None else f"<= {figure.bar:g}"
        verdict = "" if figure.bar is None else "ok" if figure.holds else "NOT REACHED"
        rows.append((figure.name, float(figure.value), figure.unit, figure.ratio, bar, verdict))
    return format_table(rows, ("", "value", "unit", "ratio", "bar", ""))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies (nearest rank), NaN of none."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else math.nan
