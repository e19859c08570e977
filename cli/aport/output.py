"""What people and programs read. Only results go to standard output; the rest goes to standard error."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

MAX_CELL = 60


def say(sentence: str) -> None:
    print(clean(sentence), file=sys.stderr)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns. What others wrote cannot move the cursor or change colours."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in [list(columns), *cells]:
        print(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        )


def clean(text: str) -> str:
    """Return the text without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def time_of(text: str | None) -> str:
    """Return an instant of the API in local time."""
    if not text:
        return ""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"


def left_until(text: str) -> str:
    minutes = int((datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()) // 60
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(minutes, 0)} min"


def show_link(url: str) -> None:
    """Show where to verify, as text and, if it can be drawn, as a QR code for a phone."""
    say(f"\n  {url}\n")
    if not sys.stderr.isatty():
        return
    try:
        import qrcode
    except ImportError:
        return
    code = qrcode.QRCode(border=2)
    code.add_data(url)
    code.print_ascii(out=sys.stderr)


def _cell(value: object) -> str:
    text = clean(" ".join(str(value).split()))
    return text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"
