"""`python -m bench.speed`: run the parts, print their tables, keep bench/results/bench.json."""

import argparse
import importlib
import sys
import time
from pathlib import Path

from bench.environment import RESULTS, InvalidRun, exit_on_sigterm
from bench.report import format_figures, save_figures

PARTS = ("verify", "pages", "worker", "active", "sign_in")
SIZES = "1000,100000,1000000"


def main() -> int:
    options = _options()
    exit_on_sigterm()
    missed = []
    for part in options.parts:
        print(part, flush=True)
        started = time.monotonic()
        try:
            figures = importlib.import_module(f"bench.speed.{part}").measure(options)
        except InvalidRun as error:
            print(f"A response was not what is measured: {error}", file=sys.stderr)
            return 2
        seconds = time.monotonic() - started
        save_figures(options.out, part, figures, seconds)
        print(f"{format_figures(figures)}\n  {part} took {seconds:.0f} s\n", flush=True)
        missed += [figure.name for figure in figures if not figure.holds]
    print(f"The figures are in {options.out}")
    print(f"Not reached: {'; '.join(missed)}" if missed else "Every bar is reached.")
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="some of %(default)s")
    parser.add_argument("--users", default=SIZES, help="sizes of the pages' database: %(default)s")
    parser.add_argument("--grants", type=int, default=10_000, help="that the worker ends")
    parser.add_argument("--repeats", type=int, default=20, help="of the part active")
    parser.add_argument("--out", type=Path, default=RESULTS / "bench.json")
    options = parser.parse_args()
    options.parts = options.parts.split(",")
    options.users = [int(size) for size in options.users.split(",")]
    return options


if __name__ == "__main__":
    sys.exit(main())
