"""All authenticators sealed anew with a new key, as in a rotation, while people verify."""

import base64
import json
import os
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException

from bench.speed.ground import PORTAL, ROOT, Ground, Web
from bench.speed.parts.verify import Portal
from bench.speed.result import Row, bound
from bench.speed.turns import Unexpected, Visitor, say

DEVICES = int(os.environ.get("BENCH_DEVICES", "100000"))
PEOPLE = 700
PAUSE_S = 0.1  # of each client, so that codes last
CLIENTS = 2
BEFORE_S = 10.0
PATIENCE_S = 600.0
DATABASE = "rotate_keys"


@dataclass
class Verified:
    """How long right codes took, and what went wrong with some."""

    taken_ms: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def measure(ground: Ground) -> list[Row]:
    ground.new_portal(DATABASE)
    wanted = {"groups": {"verify": PEOPLE, "wrong": 1, "page": 1, "submit": 1}, "open": []}
    filled = ground.run(DATABASE, "-m", "bench.speed.fill", typed=json.dumps(wanted))
    ground.run(DATABASE, "-m", "bench.speed.devices", str(DEVICES))
    ground.settle(DATABASE)
    say(f"  {DEVICES:,} devices are sealed with the old key")
    # As the README says: the new key first, a restart, then the command.
    both = f"b2:{base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()},{ground.keys['ENCRYPTION_KEYS']}"
    environment = ground.environment(DATABASE, ENCRYPTION_KEYS=both)
    web = Web(ground.home / "reseal.log", environment)
    portal = Portal(json.loads(filled))
    try:
        web.start(PORTAL)
        with verifying(web, portal) as before:
            time.sleep(BEFORE_S)
        began = time.monotonic()
        with verifying(web, portal) as during:
            _reseal(environment)
        lasted = time.monotonic() - began
        with verifying(web, portal) as after:
            time.sleep(BEFORE_S)
    finally:
        web.stop()
        ground.drop_database(DATABASE)
    return rows(lasted, before, during, after)


@contextmanager
def verifying(web: Web, portal: Portal) -> Iterator[Verified]:
    """Some clients give right codes, at a pace, while the block runs."""
    told, over = Verified(), threading.Event()

    def run() -> None:
        visitor = Visitor(web.port)
        while not over.wait(PAUSE_S):
            _note(lambda: portal.verify(visitor), told)
        visitor.close()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _note(verify: Callable[[], None], told: Verified) -> None:
    began = time.perf_counter()
    try:
        verify()
    except (Unexpected, OSError, HTTPException) as trouble:
        told.refused.append(str(trouble))
    else:
        told.taken_ms.append((time.perf_counter() - began) * 1000)


def _reseal(environment: dict[str, str]) -> None:
    """Run the command and show what it says."""
    command = [sys.executable, "-u", "manage.py", "rotate_keys"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        give_up = threading.Timer(PATIENCE_S, running.kill)
        give_up.start()
        for number, line in enumerate(running.stdout or ()):
            if number % 5 == 0 or "Nothing" in line:
                say(f"  {line.strip()}")
        give_up.cancel()
    if running.returncode:
        raise Unexpected(f"reseal ended with {running.returncode}")


def rows(lasted_s: float, before: Verified, during: Verified, after: Verified) -> list[Row]:
    for trouble in during.refused[:3]:
        say(f"  {trouble}")
    usual = statistics.median(before.taken_ms)
    p50 = statistics.median(during.taken_ms)
    return [
        Row(f"reseal: {DEVICES:,} devices", round(lasted_s, 1), "s"),
        Row("reseal: rate", round((DEVICES + PEOPLE) / lasted_s), "a second"),
        Row("reseal: right codes before, p50", round(usual, 2), "ms"),
        Row("reseal: right codes during, number", len(during.taken_ms), "codes"),
        bound("reseal: right codes during, refused", len(during.refused), "codes", "<= 0"),
        Row("reseal: right codes during, p50", round(p50, 2), "ms", round(p50 / usual, 2)),
        Row("reseal: right codes during, slowest", round(max(during.taken_ms), 2), "ms"),
        bound("reseal: right codes after, refused", len(after.refused), "codes", "<= 0"),
    ]
