"""`make run` from a fresh clone, with the packages it needs in pip's cache, and started again."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.speed.ground import ROOT, Ground, free_port
from bench.speed.result import Row, bound
from bench.speed.turns import Unexpected, say

UP = "Press Ctrl-C"
UP_WITHIN_S = 300.0
DOWN_WITHIN_S = 60.0
AGAIN = 3


def measure(ground: Ground) -> list[Row]:
    """The first clone only fills pip's cache, as whoever has it once has it."""
    with tempfile.TemporaryDirectory(prefix="apono-run-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # a server may have an account of its own
        say("  A clone that only fills pip's cache")
        _make(_clone(folder / "warming"), ".venv/ready-to-run")
        fresh = _clone(folder / "fresh")
        first = _time_to_up(fresh)
        say(f"  up after {first:.1f} s from a fresh clone")
        again = [_time_to_up(fresh) for _ in range(AGAIN)]
        say(f"  up again after {', '.join(f'{each:.1f}' for each in again)} s")
    return [
        bound("run: from a fresh clone until up", first, "s", "<= 30"),
        bound("run: started again until up", sorted(again)[AGAIN // 2], "s", "<= 5"),
    ]


def _clone(folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


def _environment() -> dict[str, str]:
    """Little but what leads to Python, git and pip's cache."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "PORT": str(free_port())}


def _make(clone: Path, *targets: str) -> None:
    told = subprocess.run(
        ["make", *targets], cwd=clone, env=_environment(), capture_output=True, text=True, check=False
    )  # fmt: skip
    if told.returncode:
        raise Unexpected(f"make {' '.join(targets)}: {told.stdout[-500:]}{told.stderr[-500:]}")


def _time_to_up(clone: Path) -> float:
    began = time.monotonic()
    with _running(clone, clone.with_suffix(".log")) as (process, log):
        while UP not in log.read_text():
            if process.poll() is not None or time.monotonic() - began > UP_WITHIN_S:
                raise Unexpected(f"make run did not come up: {log.read_text()[-1000:]}")
            time.sleep(0.05)
        return time.monotonic() - began


@contextmanager
def _running(clone: Path, log: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """`make run`, ended as Ctrl-C does."""
    with log.open("wb") as terminal:
        process = subprocess.Popen(
            ["make", "run"], cwd=clone, env=_environment(), stdin=subprocess.DEVNULL,
            stdout=terminal, stderr=terminal, start_new_session=True,
        )  # fmt: skip
    try:
        yield process, log
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(DOWN_WITHIN_S)
