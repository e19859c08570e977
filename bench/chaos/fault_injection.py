"""Workers that kill or suspend themselves exactly between two steps.

A step ends wherever a process speaks to a server: every exchange of the driver with the portal's
database or the target is a boundary, and so is every new connection. A worker that dies at the seventh
boundary of an activation has done all before it and nothing after.

Runs as a process that has the portal loaded and forks a worker for each order it reads. The portal's
code is as it is; what counts the boundaries is wrapped around it here.

    order    {"id": 3, "stage": "activate", "at": 7}     or {"stop": 3}
             {"id": 3, "stage": "activate", "at": 7, "suspends": true}, later {"resume": 3}
    answer   {"id": 3, "killed_in": "activation._create", "at": 7}
             {"id": 3, "boundaries": 41}                 when the stage ended before
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

ANSWERS = os.dup(1)
os.dup2(2, 1)  # what the portal logs goes with the errors
django.setup()

import psycopg  # noqa: E402

from apono_portal.demo.parent import ending_with_parent  # noqa: E402
from bench.environment import ROOT  # noqa: E402
from requests_app.worker import loop, reconciler, steps  # noqa: E402

BENCH = str(ROOT / "bench")
# Every call on a target, and on the database, passes these, so they name no step.
CONNECTIONS = ("postgresql/connection.py", "postgresql/base.py")
ANY = "any"
STAGES = (
    ("begin", reconciler, "begin_activation"),
    ("activate", steps, "activate"),
    ("expire", loop, "expire_due"),
    ("contain", steps, "contain"),
    ("clean", steps, "clean"),
)


class BoundaryCounter:
    """Counts the boundaries of one stage in this process, and ends or suspends it at the ordered one."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._count = 0
        self._has_acted = False
        self._thread = threading.local()
        self._lock = threading.Lock()

    def wrap(self, stage: str, task: Callable[..., Any]) -> Callable[..., Any]:
        ordered = self._order["stage"]

        def counted(*args: Any, **kwargs: Any) -> Any:
            if ordered not in (stage, ANY):
                return task(*args, **kwargs)
            self._thread.is_inside = True
            if ordered != ANY:
                self._count = 0
            try:
                return task(*args, **kwargs)
            finally:
                self._thread.is_inside = False
                if ordered != ANY:
                    self._answer(boundaries=self._count)

        return counted

    def boundary(self) -> None:
        if not getattr(self._thread, "is_inside", False):
            return
        with self._lock:
            self._count += 1
            if self._count == self._order["at"] and not self._has_acted:
                self._has_acted = True
                self._answer(killed_in=_current_function(), at=self._count)
                if self._order["suspends"]:
                    os.kill(os.getpid(), signal.SIGSTOP)
                    return
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()

    def _answer(self, **answer: Any) -> None:
        os.write(ANSWERS, (json.dumps({"id": self._order["id"], **answer}) + "\n").encode())


def _current_function() -> str:
    """Return the function of the portal that speaks to a server."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        is_portal = name.startswith(str(ROOT)) and not name.startswith(BENCH)
        if is_portal and "/.venv/" not in name and not name.endswith(CONNECTIONS):
            return f"{Path(name).stem}.{frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return "the driver"


def run_worker(order: dict[str, Any]) -> None:
    counter = BoundaryCounter(order)
    for stage, module, name in STAGES:
        setattr(module, name, counter.wrap(stage, getattr(module, name)))
    original_wait = psycopg.Connection.wait
    original_connect = psycopg.Connection.connect.__func__  # type: ignore[attr-defined]

    def wait(self: Any, *args: Any, **kwargs: Any) -> Any:
        counter.boundary()
        return original_wait(self, *args, **kwargs)

    def connect(cls: Any, *args: Any, **kwargs: Any) -> Any:
        counter.boundary()
        return original_connect(cls, *args, **kwargs)

    psycopg.Connection.wait = wait  # type: ignore[method-assign]
    psycopg.Connection.connect = classmethod(connect)  # type: ignore[assignment,method-assign]
    loop.Worker(f"faulty:{os.getpid()}", interval_s=1.0).run()


def serve() -> None:
    children: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "stop" in order:
            end_child(children.pop(order["stop"], 0))
            continue
        if "resume" in order:
            os.kill(children[order["resume"]], signal.SIGCONT)
            continue
        end_with_parent = ending_with_parent(signal.SIGKILL)
        pid = os.fork()
        if pid == 0:
            if end_with_parent is not None:
                end_with_parent()
            run_worker(order)
            os._exit(0)
        children[order["id"]] = pid
    for pid in children.values():
        end_child(pid)


def end_child(pid: int) -> None:
    """Kill a child and reap it; until then its pid is ours, even if it has killed itself."""
    if pid:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    serve()
