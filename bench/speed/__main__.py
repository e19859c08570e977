"""`python -m bench.speed`: the parts, their table, and bench/results/bench.json."""

import argparse
import importlib
import signal
import sys
import time

from bench.speed import result
from bench.speed.ground import running_ground
from bench.speed.turns import Unexpected, say

PARTS = ("verify", "writers", "memory", "limit", "pages", "worker", "growth", "rotate_keys", "run")


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    started = time.monotonic()
    try:
        with running_ground() as ground:
            for part in options.parts:
                if options.resume and _measured_at_this_commit(part):
                    say(f"{part}: measured at this commit already")
                    continue
                say(f"{part}")
                began = time.monotonic()
                rows = importlib.import_module(f"bench.speed.parts.{part}").measure(ground)
                lasted = time.monotonic() - began
                result.keep(part, rows, lasted)
                say(f"{result.table(rows)}\n  {part} took {lasted:.0f} s\n")
    except Unexpected as trouble:
        print(f"An answer was not what is measured: {trouble}", file=sys.stderr)
        return 2
    say(f"{time.monotonic() - started:.0f} s; the figures are in {result.path_of_result()}")
    rows = [row for part in options.parts for row in result.rows_of(part)]
    missed = [row.name for row in rows if not row.holds]
    say(f"Not reached: {'; '.join(missed)}" if missed else "Every target is reached.")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="", help=f"some of {','.join(PARTS)}")
    parser.add_argument("--resume", action="store_true", help="leave out what this commit has")
    options = parser.parse_args()
    options.parts = [each for each in options.parts.split(",") if each] or list(PARTS)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    return options


def _measured_at_this_commit(part: str) -> bool:
    kept = result.load()["parts"].get(part)
    return bool(kept and kept["commit"] == result.commit())


if __name__ == "__main__":
    sys.exit(main())
