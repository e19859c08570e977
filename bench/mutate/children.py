"""Doing something in a forked child, and its result as plain values."""

import contextlib
import json
import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any


def result_of(work: Callable[[], dict[str, Any]], timeout_s: float) -> dict[str, Any] | None:
    """Return what ``work`` returns in a child, None if that took too long or the child died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work_and_exit(work, writing)
    os.close(writing)
    try:
        said = _read_all(reading, time.monotonic() + timeout_s)
    finally:
        os.close(reading)
        _end(child)
    return json.loads(said) if said else None


def _work_and_exit(work: Callable[[], dict[str, Any]], writing: int) -> None:
    """Never returns: what belongs to the parent's session, as its servers, is not ended here."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    quiet = os.open(os.devnull, os.O_RDWR)
    for each in (0, 1):
        os.dup2(quiet, each)
    try:
        os.write(writing, b" ")
        said = json.dumps(work()).encode()
        while said:
            said = said[os.write(writing, said) :]
    except BaseException:  # noqa: BLE001 - the child's end, whatever the reason
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _read_all(reading: int, until: float) -> str:
    said = b""
    while (left := until - time.monotonic()) > 0:
        if not select.select([reading], [], [], left)[0]:
            continue
        part = os.read(reading, 1 << 16)
        if not part:
            return said.decode().strip()
        said += part
    return ""


def _end(child: int) -> None:
    """End the child and all that a test of it left running."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
