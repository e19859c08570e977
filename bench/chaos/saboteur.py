"""Workers that kill themselves, exactly between two steps.

A step ends wherever a process speaks to a server: every exchange of the driver with the portal's
database or the target is a boundary, and so is every new connection. A worker told to die at the
seventh boundary of an activation does all before it and nothing after.

Runs as a process that has the portal loaded and forks a worker for each order it reads. The portal's
code is as it is; what counts the boundaries is put around it here.

    order    {"id": 3, "stage": "activate", "at": 7}     or {"stop": 3}
    answer   {"id": 3, "killed_in": "activation._create", "at": 7}
             {"id": 3, "boundaries": 41}                 a stage that ended before
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
from requests_app.worker import loop, reconciler, steps  # noqa: E402

ROOT = str(Path(__file__).resolve().parents[2])
HERE = str(Path(__file__).resolve().parent)
DOOR = "postgresql/session.py"  # every call on a target goes through it, so it names no step
ANY = "any"
STAGES = (
    ("begin", reconciler, "begin_activation"),
    ("activate", steps, "activate"),
    ("expire", loop, "expire_due"),
    ("contain", steps, "contain"),
    ("clean", steps, "clean"),
)


class Counter:
    """Counts the boundaries of one stage in this process, and dies at the one it was told."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.seen = 0
        self.inside = threading.local()
        self.lock = threading.Lock()

    def around(self, stage: str, task: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if self.order["stage"] not in (stage, ANY):
                return task(*args, **kwargs)
            self.inside.stage = True
            if self.order["stage"] != ANY:
                self.seen = 0
            try:
                return task(*args, **kwargs)
            finally:
                self.inside.stage = False
                if self.order["stage"] != ANY:
                    self.tell(boundaries=self.seen)

        return counted

    def boundary(self) -> None:
        if not getattr(self.inside, "stage", False):
            return
        with self.lock:
            self.seen += 1
            if self.seen == self.order["at"]:
                self.tell(killed_in=_where(), at=self.seen)
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()

    def tell(self, **answer: Any) -> None:
        line = json.dumps({"id": self.order["id"], **answer}) + "\n"
        os.write(ANSWERS, line.encode())


def _where() -> str:
    """The function of the portal that is speaking."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        ours = name.startswith(ROOT) and not name.startswith(HERE) and "/.venv/" not in name
        if ours and not name.endswith(DOOR):
            return f"{Path(name).stem}.{frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return "the driver"


def become_worker(order: dict[str, Any]) -> None:
    counter = Counter(order)
    for stage, module, name in STAGES:
        setattr(module, name, counter.around(stage, getattr(module, name)))
    exchange, connect = psycopg.Connection.wait, psycopg.Connection.connect.__func__  # type: ignore[attr-defined]

    def wait(self: Any, *args: Any, **kwargs: Any) -> Any:
        counter.boundary()
        return exchange(self, *args, **kwargs)

    def connected(cls: Any, *args: Any, **kwargs: Any) -> Any:
        counter.boundary()
        return connect(cls, *args, **kwargs)

    psycopg.Connection.wait = wait  # type: ignore[method-assign]
    psycopg.Connection.connect = classmethod(connected)  # type: ignore[assignment,method-assign]
    loop.Worker(f"saboteur:{os.getpid()}", interval_s=1.0).run()


def serve() -> None:
    children: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "stop" in order:
            end(children.pop(order["stop"], 0))
            continue
        arrange = ending_with_parent(signal.SIGKILL)
        pid = os.fork()
        if pid == 0:
            if arrange is not None:
                arrange()
            become_worker(order)
            os._exit(0)
        children[order["id"]] = pid
    for pid in children.values():
        end(pid)


def end(pid: int) -> None:
    """Kill a child of ours if it has not done so itself, and bury it. Its number is ours until then."""
    if pid and os.waitpid(pid, os.WNOHANG) == (0, 0):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    serve()
