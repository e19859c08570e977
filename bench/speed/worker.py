"""What an idle worker costs, and how one worker ends many grants within a minute on a real target.

Until when somebody can sign in does not depend on a worker: the target itself refuses after the end.
"""

import argparse
import secrets
import time
from typing import Any

from apono_portal.demo.target import provision_target
from bench.environment import Application, InvalidRun, running_server, wait_until
from bench.report import Figure, quantile
from bench.speed.environment import SERVER_SETTINGS, Environment, running_environment

DATABASE = "worker"
WARM_UP_S, IDLE_S = 10.0, 60.0
SPREAD_S = 60.0
PREPARATION_S, PREPARED_PER_S = 25.0, 200
CONTAINED_WITHIN_S = 150.0  # after the last end
PROVING_S = 20.0
MAX_MEMORY_MB = 150
MAX_IDLE_MS = 10  # a second: 1 % of a core
CONTAINED = "SELECT count(contained_at) FROM requests_app_grant"
PROVEN = "SELECT count(*) FROM requests_app_grant WHERE state = 'removed'"
DRIFTS = "SELECT count(*) FROM requests_app_drift"
LATENESS = """
    SELECT greatest(extract(epoch FROM coalesce(contained_at, now()) - deadline), 0)::float8
    FROM requests_app_grant ORDER BY 1"""


def measure(options: argparse.Namespace) -> list[Figure]:
    with (
        running_environment() as environment,
        running_server(environment.home / "target", settings=SERVER_SETTINGS) as target,
    ):
        worker = environment.create_database(DATABASE)
        try:
            figures = _measure_idle(environment, worker)
            broker = provision_target(target, secrets.token_urlsafe(24))
            first_end = time.time() + PREPARATION_S + options.grants / PREPARED_PER_S
            address = {"host": broker.host, "port": broker.port, "broker": broker.user}
            worker.call(
                "bench.speed.grants:fill", target=target.conninfo(), number=options.grants,
                address=address | {"password": broker.password}, first_end=first_end, spread_s=SPREAD_S,
            )  # fmt: skip
            print(f"  {options.grants:,} are active, to end in {SPREAD_S:.0f} s", flush=True)
            return figures + _measure_ends(environment, worker, options.grants, first_end)
        finally:
            worker.stop()


def _measure_idle(environment: Environment, worker: Application) -> list[Figure]:
    worker.launch("manage.py", "worker")
    time.sleep(WARM_UP_S)
    worker_s, backends = worker.cpu_s(), environment.backend_cpu(DATABASE)
    time.sleep(IDLE_S)
    worker_s = worker.cpu_s() - worker_s
    database_s = environment.backend_cpu_since(DATABASE, backends)
    memory_mb = worker.memory_mb()
    worker.stop()
    return [
        Figure("worker: idle, CPU", round(worker_s / IDLE_S * 1000, 2), "ms/s", bar=MAX_IDLE_MS),
        Figure("worker: idle, database CPU", round(database_s / IDLE_S * 1000, 2), "ms/s"),
        Figure("worker: idle, memory", round(memory_mb, 1), "MB", bar=MAX_MEMORY_MB),
    ]


def _measure_ends(
    environment: Environment, worker: Application, grants: int, first_end: float
) -> list[Figure]:
    worker.launch("manage.py", "worker")
    last_end = first_end + SPREAD_S

    def is_contained() -> bool:
        [(number,)] = _query(environment, CONTAINED)
        print(f"  {number:,} contained, {last_end - time.time():.0f} s to the last end", flush=True)
        return number >= grants

    timeout_s = last_end - time.time() + CONTAINED_WITHIN_S
    wait_until(is_contained, timeout_s=timeout_s, interval_s=5)
    [(before,)] = _query(environment, PROVEN)
    time.sleep(PROVING_S)
    [(proven,)], [(contained,)] = _query(environment, PROVEN), _query(environment, CONTAINED)
    if _query(environment, DRIFTS) != [(0,)]:
        raise InvalidRun("There are logins that are not as the portal would have made them")
    late_s = [seconds for (seconds,) in _query(environment, LATENESS)]
    figures = []
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        seconds = round(quantile(late_s, share), 2)
        figures.append(Figure(f"worker: contained after the end, {name}", seconds, "s"))
    memory_mb = round(worker.memory_mb(), 1)
    return [
        *figures,
        Figure(f"worker: not contained of {grants:,}", grants - contained, "grants", bar=0),
        Figure("worker: proven ends afterwards", (proven - before) / PROVING_S, "a second"),
        Figure(f"worker: peak memory, {grants:,} active", memory_mb, "MB", bar=MAX_MEMORY_MB),
    ]


def _query(environment: Environment, query: str) -> list[tuple[Any, ...]]:
    with environment.connect(DATABASE) as connection:
        return connection.execute(query).fetchall()
