"""Operations measured in interleaved windows: each runs for a window, then the next one does."""

import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bench.browser import Browser
from bench.speed.environment import Environment, Web


@dataclass
class Operation:
    """Something clients do again and again, and what it took: milliseconds for one, by window."""

    name: str
    web: Web
    run: Callable[[Browser], None]
    repeats: int = 120  # in one window, all clients together
    web_ms: list[float] = field(default_factory=list)
    database_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)  # of single operations

    @property
    def total_ms(self) -> list[float]:
        return [web + database for web, database in zip(self.web_ms, self.database_ms, strict=True)]

    def p50(self) -> float:
        return statistics.median(self.wall_ms)


def median_ratio(values: Iterable[float], others: Iterable[float]) -> float:
    """Return the median of the ratios window by window.

    Two windows of one round are moments apart and meet the machine in the same state; two medians of
    a whole run may not.
    """
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


def interleave(
    environment: Environment, operations: list[Operation], *, windows: int, clients: int
) -> None:
    """Measure the operations window by window, after one window of each that does not count."""
    for number in range(windows + 1):
        for operation in operations:
            _run_window(environment, operation, clients)
            if number == 0:
                operation.web_ms, operation.database_ms, operation.wall_ms = [], [], []
                continue
            web_ms, database_ms = operation.web_ms[-1], operation.database_ms[-1]
            cpu = f"{web_ms:7.2f} ms web  {database_ms:7.2f} ms database"
            print(f"  {operation.name:<34} window {number} of {windows}  {cpu}", flush=True)


def _run_window(environment: Environment, operation: Operation, clients: int) -> None:
    taken_ms: list[float] = []

    def run_client(_: int) -> None:
        browser = Browser([operation.web.port])
        for _ in range(max(1, operation.repeats // clients)):
            started = time.perf_counter()
            operation.run(browser)
            taken_ms.append((time.perf_counter() - started) * 1000)
        browser.close()

    database, web_s = operation.web.database, operation.web.cpu_s()
    backends = environment.backend_cpu(database)
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(run_client, range(clients)))
    web_s = operation.web.cpu_s() - web_s
    database_s = environment.backend_cpu_since(database, backends)
    operation.web_ms.append(web_s * 1000 / len(taken_ms))
    operation.database_ms.append(database_s * 1000 / len(taken_ms))
    operation.wall_ms += taken_ms
