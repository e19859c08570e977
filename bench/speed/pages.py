"""How long pages take at several sizes of one database that grows in place.

Each size is filled, analyzed and measured before the next. At the largest, the plan of every statement
is read.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.browser import Browser
from bench.report import Figure
from bench.speed.clients import expect, sign_in
from bench.speed.environment import Environment, running_environment
from bench.speed.interleaving import Operation, interleave
from bench.speed.query_report import (
    ADMIN_PAGES,
    MAX_STATEMENTS,
    MAX_STATEMENTS_OF,
    MEMBER_PAGES,
    PAGES,
)

DATABASE = "dataset"
WINDOWS, REPEATS = 7, 40
GROUPS = {"members": 30, "admins": 8}
MAX_P50_MS = 100
MAX_MEMORY_MB = 150
LARGE = 100_000

People = dict[str, list[dict[str, Any]]]


@dataclass
class Measurement:
    """What the pages take at one size."""

    users: int
    operations: dict[str, Operation]
    queries: dict[str, Any]
    memory_mb: float


def measure(options: argparse.Namespace) -> list[Figure]:
    with running_environment() as environment:
        environment.create_database(DATABASE)
        # Filling the tables takes longer than any statement of the portal may.
        application = environment.application(DATABASE, DATABASE_STATEMENT_TIMEOUT_S="0")
        application.call("bench.speed.dataset:prepare", users=max(options.users))
        fill = "bench.speed.fill:fill"
        filled = application.call(fill, groups=GROUPS, verified=list(GROUPS))
        measurements = []
        for former, users in zip([0, *options.users], options.users, strict=False):
            started = time.monotonic()
            application.call("bench.speed.dataset:grow", former_users=former, users=users)
            environment.analyze(DATABASE)
            print(f"  {users:,} users: filled in {time.monotonic() - started:.0f} s", flush=True)
            measurements.append(_measure_size(environment, users, filled["people"]))
    return _figures(measurements)


def _measure_size(environment: Environment, users: int, people: People) -> Measurement:
    operations: dict[str, Operation] = {}
    queries: dict[str, Any] = {}
    with environment.running_web(DATABASE) as web:
        for group, pages in (("members", MEMBER_PAGES), ("admins", ADMIN_PAGES)):
            session = people[group][0]["session"]
            queries |= web.call("bench.speed.query_report:report", session=session, pages=pages)
            for name, url in pages.items():
                operations[name] = Operation(name, web, _visit(url, people[group]), REPEATS)
        # One client: with two it is chance whether they meet in one process and wait for each other.
        interleave(environment, list(operations.values()), windows=WINDOWS, clients=1)
        return Measurement(users, operations, queries, web.memory_mb())


def _visit(url: str, people: list[dict[str, Any]]) -> Callable[[Browser], None]:
    visitors = itertools.cycle(people)

    def visit(browser: Browser) -> None:
        sign_in(browser, next(visitors))
        response = browser.get(url)
        expect(response.status == 200 and "<h1" in response.text, url, response)

    return visit


def _figures(measurements: list[Measurement]) -> list[Figure]:
    """Return each page's figures. Bars on times apply at the largest size."""
    largest = measurements[-1]
    figures = []
    for page in PAGES:
        for measured in measurements:
            operation, name = measured.operations[page], f"{page} at {measured.users:,}"
            bar = MAX_P50_MS if measured is largest else None
            figures.append(Figure(f"{name}, p50", round(operation.p50(), 2), "ms", bar=bar))
            for kind, values in (("web", operation.web_ms), ("database", operation.database_ms)):
                cpu_ms = round(statistics.median(values), 2)
                figures.append(Figure(f"{name}, {kind} CPU", cpu_ms, "ms"))
        counts = [measured.queries[page]["statements"] for measured in measurements]
        scans = largest.queries[page]["scans"]
        max_scans = 0 if largest.users >= LARGE else None  # a small table is read whole at once
        figures += [
            Figure(
                f"{page}: statements",
                max(counts),
                "",
                bar=MAX_STATEMENTS_OF.get(page, MAX_STATEMENTS),
            ),
            Figure(f"{page}: more statements by size", max(counts) - min(counts), "", bar=0),
            Figure(f"{page}: growing tables read as a whole", len(scans), "", bar=max_scans),
        ]
    memory_mb = round(largest.memory_mb, 1)
    name = f"web process after all pages at {largest.users:,}"
    return [*figures, Figure(name, memory_mb, "MB", bar=MAX_MEMORY_MB)]
