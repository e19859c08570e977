"""python -m bench.chaos [--grants 500] [--version 18] [--only SCENARIO ...]"""

import os
import sys
from argparse import ArgumentParser

from apono_portal.demo.postgres_server import available_versions
from bench.chaos.environment import running_environment


def main() -> int:
    versions = available_versions()
    parser = ArgumentParser(description="Break the portal's surroundings and judge the outcome.")
    parser.add_argument("--grants", type=int, default=500, help="how many end in the same second")
    parser.add_argument("--version", type=int, default=max(versions), choices=sorted(versions))
    parser.add_argument(
        "--silence", type=float, default=30, help="seconds that the portal's database is silent"
    )
    parser.add_argument("--only", nargs="*", default=[], help="names of scenarios")
    parser.add_argument("--out", default="", help="write the result here")
    options = parser.parse_args()
    with running_environment(options.version) as environment:
        os.environ.update(environment.variables)
        import django

        django.setup()
        from bench.chaos.campaign import run

        return run(environment, options)


if __name__ == "__main__":
    sys.exit(main())
