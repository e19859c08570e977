"""Systems that take turns: each does its operations for a window, then the next one does."""

import http.client
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from bench.speed.ground import HOST, Ground, Processes

CLIENTS = 2
WINDOWS = 9
TIMEOUT_S = 60
FORM = "application/x-www-form-urlencoded"
CSRF_SECRET = "b" * 32


class Unexpected(Exception):
    """An answer that is not what the operation measures; its figures would mean nothing."""


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    def cookie(self, name: str) -> str | None:
        for line in self.headers.get_all("Set-Cookie", []):
            key, _, rest = line.partition("=")
            if key == name:
                return rest.partition(";")[0]
        return None


class Visitor:
    """A kept-alive connection that speaks for whoever's cookies it is given."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)

    def get(self, path: str, cookies: Mapping[str, str]) -> Answer:
        return self._ask("GET", path, cookies, None)

    def post(self, path: str, cookies: Mapping[str, str], fields: Mapping[str, Any]) -> Answer:
        body = urlencode({"csrfmiddlewaretoken": CSRF_SECRET, **fields}, doseq=True)
        return self._ask("POST", path, cookies, body)

    def _ask(self, method: str, path: str, cookies: Mapping[str, str], body: str | None) -> Answer:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"
        if body is not None:
            headers["Content-Type"] = FORM
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())

    def close(self) -> None:
        self._connection.close()


Operation = Callable[[Visitor], None]


@dataclass
class System:
    """One thing that is measured. ``operation`` is done by some clients at once, again and again."""

    name: str
    web: Any
    operation: Operation
    operations: int = 120  # in one window, all clients together
    cpu_ms: list[float] = field(default_factory=list)
    database_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    wall_ms_of_windows: list[float] = field(default_factory=list)  # medians
    rates: list[float] = field(default_factory=list)

    def cost(self) -> float:
        """Median CPU of the web processes for one operation, in milliseconds."""
        return statistics.median(self.cpu_ms)

    def cost_beside(self, other: "System") -> float:
        """Median of how many times the other's CPU one operation takes, window by window.

        Two windows of one round are moments apart and meet the machine in the same mood; two medians
        of a whole run may not.
        """
        return _beside(self.cpu_ms, other.cpu_ms)

    def p50_beside(self, other: "System") -> float:
        """The same of how long one operation takes."""
        return _beside(self.wall_ms_of_windows, other.wall_ms_of_windows)

    def p50(self) -> float:
        return statistics.median(self.wall_ms)

    def p95(self) -> float:
        return statistics.quantiles(self.wall_ms, n=20)[-1]


def _beside(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def take_turns(
    ground: Ground, systems: list[System], *, windows: int = WINDOWS, clients: int = CLIENTS
) -> None:
    """Measure the systems window by window, after one window of each that does not count."""
    for number in range(windows + 1):
        for system in systems:
            counts = number > 0
            _window(ground, system, clients, counts=counts)
            if counts:
                left = f"{number} of {windows}"
                say(f"  {system.name:<34} window {left}  {system.cpu_ms[-1]:7.2f} ms CPU")


def _window(ground: Ground, system: System, clients: int, *, counts: bool) -> None:
    each = max(1, system.operations // clients)
    taken: list[float] = []
    troubles: list[Exception] = []

    def run() -> None:
        visitor = Visitor(system.web.port)
        try:
            for _ in range(each):
                started = time.perf_counter()
                system.operation(visitor)
                taken.append((time.perf_counter() - started) * 1000)
        except (Unexpected, OSError, http.client.HTTPException) as trouble:
            troubles.append(trouble)
        finally:
            visitor.close()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(clients)]
    with spent(system.web) as web, database_spent(ground) as database:
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lasted = time.perf_counter() - started
    if troubles:
        raise troubles[0]
    if counts:
        system.cpu_ms.append(web.cpu_s * 1000 / len(taken))
        system.database_ms.append(database.cpu_s * 1000 / len(taken))
        system.wall_ms += taken
        system.wall_ms_of_windows.append(statistics.median(taken))
        system.rates.append(len(taken) / lasted)


@dataclass
class Spent:
    cpu_s: float = 0.0


class spent:  # noqa: N801 - reads as what it is: with spent(web) as cost
    """CPU of some processes while the block ran."""

    def __init__(self, processes: Processes) -> None:
        self._read = processes.cpu_s
        self._cost = Spent()

    def __enter__(self) -> Spent:
        self._cost.cpu_s = -self._read()
        return self._cost

    def __exit__(self, *trouble: object) -> None:
        self._cost.cpu_s += self._read()


class database_spent(spent):  # noqa: N801
    def __init__(self, ground: Ground) -> None:
        self._read = ground.database_cpu_s
        self._cost = Spent()


class Deal:
    """Hands out people one after the other, to several clients at once."""

    def __init__(self, people: list[dict[str, Any]]) -> None:
        self._lock = threading.Lock()
        self._people = self._round(people)

    @staticmethod
    def _round(people: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        while True:
            yield from people

    def next(self) -> dict[str, Any]:
        with self._lock:
            return next(self._people)


def say(line: str) -> None:
    print(line, flush=True)
