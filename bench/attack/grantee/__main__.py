"""`python -m bench.attack.grantee`: the grantee chapter on each version of PostgreSQL found here."""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from apono_portal.demo.postgres_server import available_versions
from bench.attack.grantee.environment import running_chapter
from bench.environment import RESULTS, exit_on_sigterm
from bench.report import format_table, quantile, write_json

if TYPE_CHECKING:
    from bench.attack.grantee.chapter import Result

OUT = RESULTS / "attack-grantee.json"


def main() -> int:
    exit_on_sigterm()
    options = _options()
    if options.version:
        return run_version(options)
    code = 0  # each version needs a portal of its own, and so a process
    for version in available_versions():
        command = [sys.executable, "-m", __package__, *sys.argv[1:], "--version", str(version)]
        code = max(code, subprocess.call(command))
    return code


def run_version(options: argparse.Namespace) -> int:
    started = time.monotonic()
    with running_chapter(options.version) as chapter:
        results = chapter.run([options.only], options.ends)
    _print(results)
    if not options.only:
        _save(options, results, time.monotonic() - started)
    return int(any(one.successes or one.problem for one in results))


def _print(results: "list[Result]") -> None:
    rows = [(one.tactic, one.end, one.contained_s, len(one.successes)) for one in results]
    print(format_table(rows, ("tactic", "end", "contained after s", "successes")))
    for one in results:
        for success in one.successes:
            print(f"SUCCESS of {one.tactic}, {one.end}: {success}")
        if one.problem:
            print(f"INVALID: {one.tactic}, {one.end}: {one.problem}")


def _save(options: argparse.Namespace, results: "list[Result]", seconds: float) -> None:
    """Replace this version's part of the file; those of other versions stay."""
    content = json.loads(options.out.read_text()) if options.out.exists() else {}
    contained = [one.contained_s for one in results if one.contained_s is not None]
    content[f"postgresql_{options.version}"] = {
        "tactics": len({one.tactic for one in results}),
        "attempts": len(results),
        "successes": sum(bool(one.successes) for one in results),
        "contained_max_s": round(quantile(contained, 1), 2),
        "seconds": round(seconds),
        "processors": os.cpu_count(),
        "results": [asdict(one) for one in results],
    }
    write_json(options.out, content)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.attack.grantee", description=__doc__)
    parser.add_argument("--version", type=int, default=0, choices=sorted(available_versions()))
    parser.add_argument("--only", default="", help="only tactics whose name contains this")
    parser.add_argument("--ends", nargs="*", default=["revoked", "expired"])
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
