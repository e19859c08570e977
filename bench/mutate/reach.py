"""A pytest plugin that notes which test reaches which line of the files under mutation.

Lines that run at import are reached by every test that reaches anything in their file.
"""

import json
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

_ROOT = Path(os.environ.get("MUTATE_ROOT", ".")).resolve()
_FILES = {str(_ROOT / name): name for name in os.environ.get("MUTATE_FILES", "").split(":") if name}
_reached: dict[str, set[tuple[str, int]]] = defaultdict(set)
_current = ""


def _trace(frame: FrameType, event: str, argument: Any) -> Any:
    name = _FILES.get(frame.f_code.co_filename)
    if name is None:
        return None

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        _reached[_current].add((name, frame.f_lineno))
        return line

    _reached[_current].add((name, frame.f_lineno))
    return line


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Trace a whole test: its set-up is often what reaches the line."""
    global _current
    _current = item.nodeid
    sys.settrace(_trace)
    threading.settrace(_trace)
    try:
        return (yield)  # type: ignore[return-value]
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]


def pytest_sessionfinish() -> None:
    found = {test: sorted(lines) for test, lines in _reached.items()}
    Path(os.environ["MUTATE_REACH"]).write_text(json.dumps(found))
