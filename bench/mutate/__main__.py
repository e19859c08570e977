"""`python -m bench.mutate`: run the mutants of mfa/ and of the enforcement point, report survivors."""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.mutate.mutants import Mutant, every_mutant

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "bench" / "results" / "mutation.json"
KEPT = ROOT / "var" / "mutate.json"  # of the last run, to go on from
EXPLAINED = Path(__file__).with_name("explained.toml")
# mfa/ without what only speaks to people, and every service that asks for evidence.
LEFT_OUT = {"mfa/apps.py", "mfa/urls.py", "mfa/__init__.py", "mfa/emails.py"}
ENFORCEMENT = [
    "requests_app/submission/services.py",
    "requests_app/submission/evaluation.py",
    "requests_app/submission/step_up.py",
    "requests_app/approvals/services.py",
    "requests_app/grants/extension.py",
    "requests_app/grants/credentials.py",
    "requests_app/grants/activation.py",
]
TESTS = [
    "tests/mfa",
    "tests/requests_app",
    "tests/users",
    "tests/architecture",
    "tests/notifications",
]
# They start servers and workers of their own, and test those, or look at files only.
IGNORED = [
    "tests/requests_app/worker/test_killed_worker.py",
    "tests/requests_app/grants/test_leases.py",
    "tests/requests_app/worker/test_reconciler.py",
    "tests/architecture/test_docs.py",
    "tests/architecture/test_templates.py",
]
COPIED = shutil.ignore_patterns(
    ".git", ".venv", "var", "__pycache__", "staticfiles", "test-results", ".*_cache"
)
GOOD = {"noticed", "out of time"}  # tests that never end notice, too


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = _arguments()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="apono-mutate-", dir=_quick_folder()) as folder:
        home = Path(folder)
        tree = Path(shutil.copytree(ROOT, home / "tree", ignore=COPIED))
        sources = {path: (tree / path).read_text() for path in _files(tree, arguments.only)}
        mutants = list(every_mutant(sources))
        known = _known(tree, [] if arguments.anew else mutants)
        print(
            f"{len(mutants)} mutants of {len(sources)} files, {len(known)} met before", flush=True
        )
        _write_job(home, sources, [each for each in mutants if each.name not in known])
        try:
            if len(known) < len(mutants):
                _run(home, tree, arguments.workers, len(mutants) - len(known))
        finally:
            verdicts = known | _verdicts(home)
            _keep(tree, verdicts)
        seconds = None if known else time.monotonic() - started
        return _report(mutants, verdicts, arguments, seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.mutate", description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="only files whose path contains this")
    parser.add_argument("--anew", action="store_true", help="meet those again that were met before")
    return parser.parse_args()


def _quick_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _files(tree: Path, only: str) -> list[str]:
    paths = [path.relative_to(tree).as_posix() for path in sorted((tree / "mfa").rglob("*.py"))]
    kept = [p for p in paths if p not in LEFT_OUT and "/migrations/" not in p]
    return [p for p in kept + ENFORCEMENT if only in p and (tree / p).exists()]


def _write_job(home: Path, sources: dict[str, str], mutants: list[Mutant]) -> None:
    before = json.loads(KEPT.read_text())["verdicts"] if KEPT.exists() else {}
    job = {
        "sources": sources,
        # What runs at import needs a Python of its own each, and comes last.
        "mutants": [asdict(each) for each in sorted(mutants, key=lambda each: not each.scope)],
        "killers": {name: each["killer"] for name, each in before.items() if each.get("killer")},
        "tests": TESTS,
        "ignored": IGNORED,
    }
    (home / "job.json").write_text(json.dumps(job))


def _run(home: Path, tree: Path, workers: int, wanted: int) -> None:
    """Start the workers and tell how far they are, until all have ended."""
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "APONO_TEST_POSTGRES": _newest_postgres(),
    }
    environment.pop("DATABASE_URL", None)  # on SQLite, each child with rows of its own
    log = (home / "workers.log").open("ab")
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.mutate.worker", str(home)],
            cwd=tree, env=environment, stdout=log, stderr=log,
        )
        for _ in range(workers)
    ]  # fmt: skip
    told = 0
    try:
        while any(each.poll() is None for each in running):
            time.sleep(1)
            if (done := len(_verdicts(home))) >= told + 50:
                told = done
                print(f"{done} of {wanted}", flush=True)
            if any(each.poll() for each in running):
                raise SystemExit(f"A worker stopped:\n{(home / 'workers.log').read_text()[-3000:]}")
    finally:
        for each in running:
            each.terminate()
        for each in running:
            each.wait()


def _newest_postgres() -> str:
    from apono_portal.demo.postgres_server import available_versions

    return str(max(available_versions()))


def _verdicts(home: Path) -> dict[str, Any]:
    file = home / "verdicts.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return {verdict.pop("name"): verdict for verdict in map(json.loads, lines)}


# What a run leaves for the next one: all its verdicts while nothing has changed, else who noticed.


def _known(tree: Path, mutants: list[Mutant]) -> dict[str, Any]:
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    if kept.get("tree") != _fingerprint(tree):
        return {}
    names = {mutant.name for mutant in mutants}
    return {name: each for name, each in kept["verdicts"].items() if name in names}


def _keep(tree: Path, verdicts: dict[str, Any]) -> None:
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"verdicts": {}}
    same = kept.get("tree") == _fingerprint(tree)
    before = kept["verdicts"] if same else {
        name: {"killer": each["killer"]} for name, each in kept["verdicts"].items() if each.get("killer")
    }  # fmt: skip
    content = {"tree": _fingerprint(tree), "verdicts": before | verdicts}
    if not same:
        content["verdicts"] = {n: e for n, e in content["verdicts"].items() if n in verdicts}
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(content))


def _fingerprint(tree: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in tree.rglob("*") if p.suffix in {".py", ".html", ".txt", ".toml"}):
        if "bench" not in path.relative_to(tree).parts:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _report(
    mutants: list[Mutant],
    verdicts: dict[str, Any],
    arguments: argparse.Namespace,
    seconds: float | None,
) -> int:
    """``seconds`` is how long a whole run took; None for one that took up another."""
    reasons: dict[str, str] = tomllib.loads(EXPLAINED.read_text()) if EXPLAINED.exists() else {}
    left = [m.name for m in mutants if verdicts.get(m.name, {}).get("verdict") not in GOOD]
    bare = [name for name in left if name not in reasons]
    counts = Counter(verdicts.get(m.name, {"verdict": "not run"})["verdict"] for m in mutants)
    for name in bare:
        print(f"{verdicts.get(name, {}).get('verdict', 'not run')}: {name}")
    for name in sorted(reasons.keys() - set(left)) if not arguments.only else ():
        print(f"explained, but noticed or gone: {name}")
    print(f"{len(mutants)} mutants, {dict(counts)}, {len(bare)} not explained")
    if not arguments.only:
        content = {
            "mutants": len(mutants),
            **dict(sorted(counts.items())),
            "not_explained": bare,
            "explained": {name: reasons[name] for name in left if name in reasons},
        }
        if seconds is not None:
            content["seconds"] = round(seconds)
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(content, indent=2) + "\n")
    return 1 if bare else 0


if __name__ == "__main__":
    sys.exit(main())
