"""One worker on a real target: how many it opens and ends a second, and how late it is in a rush.

What is late is said by the target's own catalogs: until when sessions were there, and when logins were
cut. Signing in is over at the end itself, by the target, whatever a worker does.
"""

import json
import math
import os
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.speed.ground import Ground, Processes
from bench.speed.result import Row, bound
from bench.speed.target import BenchTarget, Watch, running_target
from bench.speed.turns import Unexpected, say

ONE_BY_ONE = 200
RUSH = int(os.environ.get("BENCH_GRANTS", "10000"))
SPREAD_S = 60.0
SESSIONS = 100
PATIENCE_S = 240.0
CUT_WITHIN_S = 150.0  # after the last end; what is not cut then counts as cut at that moment
PROVING_S = 20.0
DATABASE = "worker"


def measure(ground: Ground) -> list[Row]:
    ground.new_portal(DATABASE)
    worker = Processes(ground.home / "worker.log", ground.environment(DATABASE))
    try:
        with running_target(ground) as target:
            _portal(ground, "offer", host=target.broker.host, port=target.broker.port, broker=target.broker.user, password=target.broker.password)  # fmt: skip
            rows = _one_by_one(ground, worker)
            return rows + _rush(ground, target, worker)
    finally:
        worker.stop()
        ground.drop_database(DATABASE)


def _portal(ground: Ground, command: str, **told: Any) -> dict[str, Any]:
    typed = json.dumps(told)
    answer: dict[str, Any] = json.loads(
        ground.run(DATABASE, "-m", "bench.speed.granted", command, typed=typed)
    )
    return answer


def _one_by_one(ground: Ground, worker: Processes) -> list[Row]:
    """Requests wait before the worker starts, so that nothing else takes the machine's time."""
    rows = []
    for command, told, column in (
        ("ask", "activations", "activated_at"),
        ("end", "proven endings", "ended_at"),
    ):
        _portal(ground, command, number=ONE_BY_ONE)
        worker.launch("manage.py", "worker")
        done = f"SELECT count({column}) FROM requests_app_grant"
        _wait(lambda done=done: _ask(ground, done)[0] == ONE_BY_ONE, PATIENCE_S, told)
        worker.stop()
        first, last = _ask(ground, f"SELECT min({column}), max({column}) FROM requests_app_grant")
        rate = (ONE_BY_ONE - 1) / (last - first).total_seconds()
        say(f"  {ONE_BY_ONE} {told}, {rate:.1f} a second")
        rows.append(Row(f"worker: {told}", round(rate, 1), "a second"))
    return rows


def _rush(ground: Ground, target: BenchTarget, worker: Processes) -> list[Row]:
    password, began = secrets.token_urlsafe(24), time.time()
    first_end = began + 25 + RUSH / 200
    made = _portal(ground, "open", number=RUSH, first_end=first_end, spread_s=SPREAD_S,
                   sessions=min(SESSIONS, RUSH), password=password, target=target.conninfo())  # fmt: skip
    ends: dict[str, float] = made["ends"]
    say(f"  {RUSH:,} are open after {time.time() - began:.0f} s, to end in {SPREAD_S:.0f} s")
    with ExitStack() as sessions:
        for name in made["with_password"]:
            sessions.enter_context(target.sign_in(name, password))
        process = worker.launch("manage.py", "worker")
        with Watch(target) as watch:
            _show_until(first_end + SPREAD_S, watch)
            _show_until(time.time() + CUT_WITHIN_S, watch, lambda: len(watch.cut_at) >= RUSH)
            began_proving, proven = time.time(), _proven(ground)
            _show_until(time.time() + PROVING_S, watch)
        rate = (_proven(ground) - proven) / (time.time() - began_proving)
        memory = _largest_mb(process.pid)
    drifts = _ask(ground, "SELECT count(*) FROM requests_app_drift")[0]
    if drifts:
        raise Unexpected(f"{drifts} logins were not as the portal would have made them")
    told = [*_of_target(watch, ends, set(made["with_password"])), *_of_proofs(ground, rate)]
    return [*told, bound(f"worker: most memory, {RUSH:,} open", memory, "MB", "<= 90")]


def _of_target(watch: Watch, ends: dict[str, float], with_session: set[str]) -> list[Row]:
    sessions = [
        max(0.0, at - ends[name]) for name, at in watch.session_seen_at.items() if name in ends
    ]
    now = time.time()
    cut = [max(0.0, watch.cut_at.get(name, now) - end) for name, end in ends.items()]
    if set(watch.session_seen_at) < with_session:
        raise Unexpected("not every session was seen open")
    return [
        *_late("open sessions ended", sessions),
        *_late("logins cut", cut),
        Row("worker: logins not cut yet", len(ends) - len(watch.cut_at), "logins"),
    ]


def _of_proofs(ground: Ground, rate: float) -> list[Row]:
    late = [seconds for (seconds,) in _all(ground, "SELECT extract(epoch FROM ended_at - deadline)::float8 FROM requests_app_grant WHERE ended_at > deadline AND proof <> '{}' AND revealed_at IS NOT NULL")]  # fmt: skip
    return [
        Row(f"worker: proven endings after {RUSH:,} at once", round(rate, 1), "a second"),
        Row(f"worker: proven of {RUSH:,} in the run", len(late), "grants"),
        *_late("proof", late),
    ]


def _late(what: str, seconds: list[float]) -> list[Row]:
    found = sorted(seconds)
    if not found:
        return []
    quantiles = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return [
        Row(f"worker: {what} after the end, {name}", round(found[math.ceil(share * len(found)) - 1], 2), "s")
        for name, share in quantiles.items()
    ]  # fmt: skip


def _show_until(moment: float, watch: Watch, is_done: Callable[[], bool] = lambda: False) -> None:
    told_at = 0.0
    while time.time() < moment and not is_done():
        if time.time() > told_at + 10:
            told_at = time.time()
            say(f"  {len(watch.cut_at):,} cut, {moment - told_at:.0f} s to go at most")
        time.sleep(0.5)


def _wait(is_done: Callable[[], bool], patience_s: float, what: str) -> None:
    give_up_at = time.monotonic() + patience_s
    while not is_done():
        if time.monotonic() > give_up_at:
            raise Unexpected(f"{what} were not all done in {patience_s:.0f} s")
        time.sleep(0.2)


def _proven(ground: Ground) -> int:
    return int(_ask(ground, "SELECT count(*) FROM requests_app_grant WHERE state = 'removed'")[0])


def _ask(ground: Ground, query: str) -> tuple[Any, ...]:
    [row] = _all(ground, query)
    return row


def _all(ground: Ground, query: str) -> list[tuple[Any, ...]]:
    with ground.connect(DATABASE) as connection:
        return connection.execute(query).fetchall()


def _largest_mb(pid: int) -> float:
    """The most a process ever had resident, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024 / 1e6
