"""`python -m bench.mutate.worker HOME`: one warmed-up pytest that forks a child for each mutant.

Several of them share the work through files in HOME: whoever makes the claim does the job. First each
test file runs once, unbroken, in a child of its own, with probes; then each mutant meets the tests
that reach its statement, one child a mutant, up to the first failure.
"""

import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from django.db import connection, connections

from bench.mutate import probes
from bench.mutate.children import result_of
from bench.mutate.mutants import Mutant
from bench.mutate.patching import CannotPatch, functions_of, render_deferred
from bench.mutate.slow import meets_slowly

OPTIONS = ["-q", "-n0", "--no-header"]
AT_IMPORT = "at import"
HOUSE = "tests/architecture/"
MOST_S = 40  # what the tests of one mutant may take: the most particular come first
MOST_AT_IMPORT_S = 120  # there every test of the file may be the one
FEWEST_TESTS = 30  # but this many, however long they take


class Worker:
    """A pytest plugin whose loop over the tests is the run of the mutants."""

    def __init__(self, home: Path, job: dict[str, Any], reached: set[probes.Place]) -> None:
        self._home, self._job = home, job
        self._reached_at_import = reached
        self._at_import: frozenset[probes.Place] = frozenset()
        self._kept: list[Callable[..., Any]] = []
        self._sources: dict[str, str] = job["sources"]
        self._template = home / f"template-{os.getpid()}.sqlite3"
        self._items: dict[str, pytest.Item] = {}
        self._near: dict[probes.Place, list[tuple[float, str]]] = {}
        self._seconds: dict[str, float] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = {item.nodeid: item for item in session.items}
        self._at_import = frozenset(self._reached_at_import)
        # Commands are imported late, and would be left whole.
        names = [path.removesuffix(".py").replace("/", ".") for path in self._sources]
        self._kept = _kept_in([import_module(name) for name in names])
        self._warm_up(session)
        self._functions = functions_of({self._file(path) for path in self._sources})
        self._reach_all()
        for number, fields in enumerate(self._job["mutants"]):
            if self._claims(f"mutant-{number}"):
                self._say(self._meet(Mutant(**fields)))
        return True

    def _warm_up(self, session: pytest.Session) -> None:
        """Make the database and start the servers; children share the servers and copy the rows."""
        for wanted in ("db", "pg_target"):
            item = next((i for i in session.items if wanted in i.fixturenames), None)  # type: ignore[attr-defined]
            if item is not None:
                _fails(item, session.items[0])
        from pytest_django.plugin import blocking_manager_key  # pytest wants to import it first

        with session.config.stash[blocking_manager_key].unblock():
            connection.cursor().execute("VACUUM INTO %s", [str(self._template)])
            connections.close_all()

    # Which test reaches what

    def _reach_all(self) -> None:
        files: dict[str, list[pytest.Item]] = defaultdict(list)
        for item in self._items.values():
            files[item.nodeid.partition("::")[0]].append(item)
        notes = {name: self._home / f"reach-{n}.json" for n, name in enumerate(sorted(files))}
        for name, note in notes.items():
            if self._claims(note.stem):
                done = result_of(lambda f=files[name]: self._reach(f), timeout_s=900)
                aside = note.with_suffix(".new")
                aside.write_text(json.dumps(done))
                aside.rename(note)
        near: dict[probes.Place, list[tuple[float, str]]] = defaultdict(list)
        for note in notes.values():
            while not note.exists():
                time.sleep(0.1)
            for test, found in (json.loads(note.read_text()) or {}).items():
                if not found["failed"]:
                    self._seconds[test] = found["seconds"]
                    cost = found["seconds"] ** 0.3 * (20 + len(found["reached"]))
                    for path, line in found["reached"]:
                        near[path, line].append((cost, test))
        self._near = near

    def _reach(self, items: list[pytest.Item]) -> dict[str, Any]:
        self._take_own_rows()
        found: dict[str, Any] = {}
        for number, item in enumerate(items):
            reached: set[probes.Place] = set()
            probes.report_to(reached.add)
            _forget(self._kept)
            started = time.monotonic()
            failed = _fails(item, items[(number + 1) % len(items)])
            found[item.nodeid] = {
                "failed": failed,
                "seconds": time.monotonic() - started,
                "reached": sorted(reached),
            }
        return found

    # Meeting a mutant

    def _meet(self, mutant: Mutant) -> dict[str, Any]:
        started = time.monotonic()
        tests = self._tests_for(mutant)
        if not tests:
            return {"name": mutant.name, "verdict": "reached by no test"}
        verdict, killer = self._verdict(mutant, tests)
        seconds = round(time.monotonic() - started, 2)
        return {"name": mutant.name, "verdict": verdict, "killer": killer, "seconds": seconds}

    def _tests_for(self, mutant: Mutant) -> list[str]:
        """Tests that reach the statement: who noticed it last time, then those that reach little else.

        What runs at import is met by every test that reaches anything in the file, by those beside
        them, which may be turned away before, and by those of the house, which ask every view.
        """
        best: dict[str, float] = {}
        places: Iterable[probes.Place] = [(mutant.path, mutant.line)]
        if self._is_at_import(mutant):
            places = [place for place in self._near if place[0] == mutant.path]
            house = (test for test in self._seconds if test.startswith(HOUSE))
            best |= dict.fromkeys(house, float("inf"))
            best |= self._beside(places)
            best |= dict.fromkeys(self._of_the_same_name(mutant.path), 0.0)
        for place in places:
            for cost, test in self._near.get(place, []):
                best[test] = min(cost, best.get(test, cost))
        before = self._job["killers"].get(mutant.name)
        most_s = MOST_AT_IMPORT_S if self._is_at_import(mutant) else MOST_S
        ranked = sorted(best, key=lambda each: (each != before, best[each]))
        return list(self._affordable(ranked, most_s))

    def _affordable(self, tests: Iterable[str], most_s: float) -> Iterable[str]:
        spent = 0.0
        for number, test in enumerate(tests):
            spent += self._seconds[test]
            if number < FEWEST_TESTS or spent < most_s:
                yield test

    def _is_at_import(self, mutant: Mutant) -> bool:
        return not mutant.scope or (mutant.path, mutant.line) in self._at_import

    def _beside(self, places: Iterable[probes.Place]) -> dict[str, float]:
        """All tests of the files in which one reaches any of the places, the quickest first."""
        files = {test.partition("::")[0] for place in places for _, test in self._near[place]}
        return {test: s for test, s in self._seconds.items() if test.partition("::")[0] in files}

    def _of_the_same_name(self, path: str) -> list[str]:
        """Tests in the file that is named after this one: it may have no function to be reached."""
        folder, name = path.split("/")[0], path.rpartition("/")[2]
        return [test for test in self._seconds if test.startswith(f"tests/{folder}/test_{name}:")]

    def _verdict(self, mutant: Mutant, tests: list[str]) -> tuple[str, str]:
        source = mutant.applied_to(self._sources[mutant.path].encode())
        timeout_s = 30 + 4 * sum(self._seconds[test] for test in tests)
        if not self._is_at_import(mutant):
            broken = compile(source, self._file(mutant.path), "exec")
            met = result_of(lambda: self._run_broken(broken, mutant.scope, tests), timeout_s)
        else:
            met = {"killer": AT_IMPORT}
        if met is not None and met["killer"] == AT_IMPORT:
            met = meets_slowly(self._home, self._template, mutant.path, source, tests, timeout_s)
        if met is None:
            return "out of time", ""
        return ("noticed" if met["killer"] else "survived"), met["killer"]

    def _run_broken(self, broken: Any, scope: str, tests: list[str]) -> dict[str, str]:
        try:
            render_deferred(self._functions, broken, scope)
        except CannotPatch:
            return {"killer": AT_IMPORT}
        self._take_own_rows()
        probes.report_to(lambda place: None)
        for number, test in enumerate(tests):
            following = tests[(number + 1) % len(tests)]
            if _fails(self._items[test], self._items[following]):
                return {"killer": test}
        return {"killer": ""}

    def _take_own_rows(self) -> None:
        own = self._home / f"rows-{os.getpid()}.sqlite3"
        own.write_bytes(self._template.read_bytes())
        connections.settings["default"]["NAME"] = str(own)
        connections["default"].settings_dict["NAME"] = str(own)
        _forget(self._kept)

    # Sharing the work

    def _file(self, path: str) -> str:
        return str(Path.cwd() / path)

    def _claims(self, what: str) -> bool:
        try:
            os.close(os.open(self._home / f"{what}.claim", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def _say(self, verdict: dict[str, Any]) -> None:
        with (self._home / "verdicts.jsonl").open("a") as verdicts:
            verdicts.write(json.dumps(verdict) + "\n")
        for left in self._home.glob("rows-*.sqlite3*"):
            if not Path(f"/proc/{left.name.split('-')[1].split('.')[0]}").exists():
                left.unlink(missing_ok=True)


def _forget(kept: Iterable[Callable[..., Any]]) -> None:
    """Have what is made once a process be made anew, so that a test reaches what makes it."""
    connections["default"].__dict__.pop("_prepared_statements", None)
    for each in kept:
        each.cache_clear()  # type: ignore[attr-defined]


def _kept_in(modules: Iterable[ModuleType]) -> list[Callable[..., Any]]:
    return [
        each
        for module in modules
        for each in vars(module).values()
        if hasattr(each, "cache_clear") and each.__module__ == module.__name__
    ]


def _fails(item: pytest.Item, following: pytest.Item) -> bool:
    """Run a test; ``following`` keeps what both share, and with it the session's servers."""
    if following is item:  # what is to follow itself would not be taken down
        following = next(each for each in item.session.items if each is not item)
    item.session._setupstate.teardown_exact(item)
    return any(report.failed for report in runtestprotocol(item, nextitem=following, log=False))


def main() -> int:
    home = Path(sys.argv[1])
    job = json.loads((home / "job.json").read_text())
    reached: set[probes.Place] = set()
    probes.report_to(reached.add)
    codes: Callable[[str], str] = lambda path: str(Path.cwd() / path)  # noqa: E731
    probes.load_as({codes(p): probes.probed(p, s, codes(p)) for p, s in job["sources"].items()})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Of its own: pytest tidies away what it takes for left behind, and many are started in here.
    folder = f"--basetemp={home / f'pytest-{os.getpid()}'}"
    arguments = [*OPTIONS, folder, *(f"--ignore={path}" for path in job["ignored"]), *job["tests"]]
    return int(pytest.main(arguments, plugins=[Worker(home, job, reached)]))


if __name__ == "__main__":
    sys.exit(main())
