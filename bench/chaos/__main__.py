"""python -m bench.chaos [--grants 500] [--version 18] [--only SCENARIO ...]"""

import os
import sys
from argparse import ArgumentParser

from apono_portal.demo.postgres_server import available_versions
from bench.chaos.ground import running_ground


def main() -> int:
    versions = available_versions()
    if not versions:
        print("Chaos needs PostgreSQL's server programs.", file=sys.stderr)
        return 1
    parser = ArgumentParser(
        description="Break the portal's surroundings and judge what came of it."
    )
    parser.add_argument("--grants", type=int, default=500, help="how many end in the same second")
    parser.add_argument("--version", type=int, default=max(versions), choices=sorted(versions))
    parser.add_argument("--past", type=int, default=10_000, help="past grants to carry along")
    parser.add_argument("--only", nargs="*", default=[], help="names of scenarios")
    parser.add_argument("--costs", action="store_true", help="with --only: measure costs, too")
    options = parser.parse_args()
    with running_ground(options.version) as ground:
        os.environ.update(ground.environment)
        import django

        django.setup()
        from bench.chaos.campaign import run

        return run(ground, options)


if __name__ == "__main__":
    sys.exit(main())
