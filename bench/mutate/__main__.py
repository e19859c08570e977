"""`python -m bench.mutate`: run the mutants of mfa/ and of the enforcement point, report survivors."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench.mutate.mutants import Mutant, every_mutant

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "bench" / "results" / "mutation.json"
# mfa/ without what only speaks to people, and every service that asks for evidence.
LEFT_OUT = {"mfa/apps.py", "mfa/urls.py", "mfa/__init__.py", "mfa/notices.py"}
ENFORCEMENT = [
    "requests_app/services/submission.py",
    "requests_app/prospects.py",
    "requests_app/services/step_up.py",
    "requests_app/services/decisions.py",
    "requests_app/services/credentials.py",
    "requests_app/services/activation.py",
]
TESTS = ["tests/mfa", "tests/requests_app"]
# They start servers and workers of their own, and test those.
SLOW = [
    "tests/requests_app/test_killed_worker.py",
    "tests/requests_app/test_leases.py",
    "tests/requests_app/test_reconciling.py",
    "tests/requests_app/test_life_on_a_real_target.py",
]
COPIED = shutil.ignore_patterns(
    ".git", ".venv", "var", "__pycache__", "staticfiles", "test-results", ".*_cache"
)
TIMEOUT_S = 180
OPTIONS = ["-q", "-x", "-n0", "--no-header", "--tb=line", "-p", "bench.mutate.template"]


@dataclass
class Outcome:
    """What the tests said about a mutant: noticed, survived, out of time, or reached by none."""

    mutant: Mutant
    verdict: str


@dataclass
class Run:
    """The mutants, the tests that reach them, and the verdicts so far."""

    reach: dict[str, list[tuple[str, int]]]
    deadline: float
    outcomes: list[Outcome] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tests_for(self, mutant: Mutant) -> list[str]:
        """Tests that reach the mutant's lines, the most particular ones first.

        What runs at import, before any test, is reached by every test of its file.
        """
        lines = range(mutant.line, mutant.last_line + 1)
        near = {
            test: len(reached)
            for test, reached in self.reach.items()
            if test and any(path == mutant.path and line in lines for path, line in reached)
        }
        near = near or self._by_file(mutant.path)
        return sorted(near, key=lambda test: near[test])

    def _by_file(self, path: str) -> dict[str, int]:
        return {
            test: len(reached)
            for test, reached in self.reach.items()
            if test and any(name == path for name, _ in reached)
        }


def main() -> int:
    arguments = _arguments()
    sources = {path: (ROOT / path).read_text() for path in _files(arguments.only)}
    mutants = list(every_mutant(sources))
    print(f"{len(mutants)} mutants of {len(sources)} files")
    with tempfile.TemporaryDirectory(prefix="apono-mutate-") as home:
        copies = [_copy(Path(home) / f"copy{number}") for number in range(arguments.workers)]
        for copy in copies[1:]:
            _pytest(copy, ["--collect-only", *_present(copy)], {"PYTHONDONTWRITEBYTECODE": ""})
        run = Run(_reach(copies[0], list(sources)), time.monotonic() + arguments.minutes * 60)
        shares = [mutants[number :: len(copies)] for number in range(len(copies))]
        with ThreadPoolExecutor(len(copies)) as pool:
            for done in [
                pool.submit(_work, run, copy, share, len(mutants))
                for copy, share in zip(copies, shares, strict=True)
            ]:
                done.result()
    return _report(run, mutants)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=40, help="stop after this long")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="only files whose path contains this")
    return parser.parse_args()


def _files(only: str) -> list[str]:
    paths = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "mfa").rglob("*.py"))]
    kept = [p for p in paths if p not in LEFT_OUT and "/migrations/" not in p]
    return [p for p in kept + ENFORCEMENT if only in p and (ROOT / p).exists()]


def _copy(there: Path) -> Path:
    shutil.copytree(ROOT, there, ignore=COPIED)
    return there


def _reach(copy: Path, files: list[str]) -> dict[str, list[tuple[str, int]]]:
    """Run the tests once on the whole tree; they must pass, or no mutant's failure means anything."""
    note = copy / "reach.json"
    started = time.monotonic()
    _pytest(copy, ["--collect-only", *_present(copy)], {"PYTHONDONTWRITEBYTECODE": ""})
    environment = {
        "MUTATE_ROOT": str(copy),
        "MUTATE_FILES": ":".join(files),
        "MUTATE_REACH": str(note),
    }
    done = _pytest(copy, ["-p", "bench.mutate.reach", *_present(copy)], environment, timeout_s=1800)
    if done.returncode:
        raise SystemExit(f"The tests fail without any mutant:\n{done.stdout[-3000:]}")
    print(f"The tests pass, and were traced in {time.monotonic() - started:.0f} s")
    found = json.loads(note.read_text())
    return {test: [(path, line) for path, line in lines] for test, lines in found.items()}


def _present(copy: Path) -> list[str]:
    ignored = [f"--ignore={path}" for path in SLOW]
    return ignored + [path for path in TESTS if (copy / path).exists()]


def _pytest(
    copy: Path, arguments: list[str], environment: dict[str, str], *, timeout_s: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *arguments],
        cwd=copy,
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "MUTATE_DATABASE": str(copy / "template.sqlite3"),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def _work(run: Run, copy: Path, mutants: list[Mutant], total: int) -> None:
    for mutant in mutants:
        verdict = "not run" if time.monotonic() > run.deadline else _verdict(run, copy, mutant)
        with run.lock:
            run.outcomes.append(Outcome(mutant, verdict))
            if verdict != "noticed" and verdict != "not run":
                print(f"{verdict}: {mutant.name}", flush=True)
            if len(run.outcomes) % 50 == 0:
                print(f"{len(run.outcomes)} of {total}", flush=True)


def _verdict(run: Run, copy: Path, mutant: Mutant) -> str:
    tests = run.tests_for(mutant)
    if not tests:
        return "reached by no test"
    place = copy / mutant.path
    original, times = place.read_bytes(), place.stat()
    place.write_bytes(mutant.applied_to(original))
    os.utime(place, (1, 1))  # what was compiled before must not be taken for it
    try:
        noticed = _pytest(copy, tests, {}).returncode != 0
    except subprocess.TimeoutExpired:
        return "out of time"
    finally:
        place.write_bytes(original)
        os.utime(place, (times.st_atime, times.st_mtime))
    return "noticed" if noticed else "survived"


def _report(run: Run, mutants: list[Mutant]) -> int:
    by_verdict: dict[str, list[Mutant]] = defaultdict(list)
    for outcome in run.outcomes:
        by_verdict[outcome.verdict].append(outcome.mutant)
    left = [
        {"mutant": mutant.name, "verdict": verdict}
        for verdict in ("survived", "reached by no test", "out of time")
        for mutant in by_verdict[verdict]
    ]
    counts = {verdict: len(found) for verdict, found in sorted(by_verdict.items())}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(
        json.dumps({"mutants": len(mutants), **counts, "left": left}, indent=2) + "\n"
    )
    print(counts)
    return 0 if not by_verdict["not run"] else 1


if __name__ == "__main__":
    sys.exit(main())
