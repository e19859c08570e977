"""Resident memory of a web process after many requests, and of a worker after many turns."""

import itertools
import json
import os
import threading
import time

from bench.speed.ground import PORTAL, Ground, Processes, Web
from bench.speed.parts.verify import Portal
from bench.speed.result import Row, bound
from bench.speed.turns import Visitor, say

REQUESTS = int(os.environ.get("BENCH_REQUESTS", "50000"))
CLIENTS = 4
WORKER_S = 30
PAGES = ("/", "/requests/", "/requests/new/", "/approvals/", "/account/step-up/", "/users/?q=page",
         "/activity/", "/audit-log/", "/access-flows/", "/insights/", "/account/security/")  # fmt: skip


def measure(ground: Ground) -> list[Row]:
    """One process answers all pages of an admin, each client in its own session."""
    ground.new_portal("memory")
    wanted = {
        "groups": {"admins": CLIENTS, "page": 200, "verify": 1, "wrong": 1, "submit": 1},
        "open": ["admins"],
    }
    filled = json.loads(ground.run("memory", "-m", "bench.speed.fill", typed=json.dumps(wanted)))
    web = Web(ground.home / "memory.log", ground.environment("memory"))
    worker = Processes(ground.home / "memory-worker.log", ground.environment("memory"))
    try:
        worker.launch("manage.py", "worker")
        web.start(PORTAL, processes=1)
        at_first = _ask(web, filled["people"]["admins"], 200)
        in_the_end = _ask(web, filled["people"]["admins"], REQUESTS)
        time.sleep(WORKER_S)
        of_worker = worker.memory_mb()
    finally:
        web.stop()
        worker.stop()
        ground.drop_database("memory")
    return [
        Row("memory: web process, first 200 requests", round(at_first, 1), "MB"),
        bound(f"memory: web process after {REQUESTS:,} requests", in_the_end, "MB", "<= 120"),
        bound("memory: worker", of_worker, "MB", "<= 90"),
    ]


def _ask(web: Web, admins: list[dict[str, str]], number: int) -> float:
    done = itertools.count(1)

    def run(person: dict[str, str]) -> None:
        visitor = Visitor(web.port)
        for page in itertools.cycle(PAGES):
            visitor.get(page, Portal.cookies(person))
            count = next(done)
            if count % 5000 == 0:
                say(f"  {count:,} of {number:,} requests, {web.memory_mb():.0f} MB")
            if count >= number:
                break
        visitor.close()

    threads = [threading.Thread(target=run, args=[person]) for person in admins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return web.memory_mb()
