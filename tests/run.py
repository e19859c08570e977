"""Run all tests on SQLite and, at the same time, those that use the database on PostgreSQL.

    python -m tests.run [--workers N] [sqlite] [postgresql]

Half of a run is waiting: for a server to start, a deadline to pass, a page to be drawn. With both
databases at once one run works while the other waits. `pytest` alone runs on SQLite, or on the
database that DATABASE_URL names.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from apono_portal.demo.errors import DemoError
from apono_portal.demo.postgres_binaries import available_versions
from apono_portal.demo.postgres_server import PostgresServer
from tests.chromium import NoChromium, ensure_chromium
from tests.fixtures.sso import NoNode, ensure_identity_provider

# PostgreSQL repeats every test that uses the portal's database, but for those in a browser, those of
# targets, and those marked with `anywhere`, which hold whatever the database is.
NOT_REPEATED = ("accessflows/connectors", "architecture", "design")
RUNS = {
    "sqlite": ["-n3", "-m", "not server"],
    "postgresql": ["-n2", "--database-only", "-m", "not browser and not anywhere"]
    + [f"--ignore=tests/{folder}" for folder in NOT_REPEATED],
}
MEMORY, ENOUGH_BYTES = Path("/dev/shm"), 4 * 2**30
SUMMARY = " short test summary info "


def main() -> int:
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", help="pytest-xdist workers for each database")
    parser.add_argument("databases", nargs="*", metavar="sqlite|postgresql")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # some hundred processes would compile anew
    try:
        os.environ["CHROMIUM"] = ensure_chromium()
        set_up_identity_provider()
        with temporary_folder() as folder, ThreadPoolExecutor() as pool:
            run = partial(run_tests, folder=folder, workers=options.workers)
            results = list(pool.map(run, options.databases or RUNS))
    except (NoChromium, NoNode, DemoError) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n", *(line for _, summary in results for line in summary), sep="", end="")
    return int(any(code for code, _ in results))


def set_up_identity_provider() -> None:
    """Install the provider of the single sign-on tests; without Node.js they are skipped, in CI none run."""
    try:
        ensure_identity_provider()
    except NoNode as missing:
        if os.environ.get("CI"):
            raise
        print(missing, "They are skipped.", file=sys.stderr)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Keep what tests write in memory, where there is enough: databases there wait for no disk."""
    fits = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
    with tempfile.TemporaryDirectory(prefix="apono-", dir=MEMORY if fits else None) as folder:
        Path(folder).chmod(0o711)  # servers run as an account of their own, which passes through
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        yield Path(folder)


def run_tests(database: str, *, folder: Path, workers: str | None) -> tuple[int, list[str]]:
    """Run pytest on one database, its output as it comes. Returns its exit code and its summary."""
    command = [sys.executable, "-m", "pytest", "-q", "-rsfE", "--dist=worksteal", *RUNS[database]]
    command += ["-n", workers] if workers else []
    lines: list[str] = []
    with (
        database_environment(database, folder) as environment,
        subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        for line in process.stdout or ():
            lines.append(f"{database:<10}  {line}")
            print(lines[-1], end="", flush=True)
    begin = next((i for i, line in enumerate(lines) if SUMMARY in line), -1)
    return process.returncode, lines[begin:]


@contextmanager
def database_environment(database: str, folder: Path) -> Iterator[dict[str, str]]:
    """An empty SQLite file, or a PostgreSQL server that lives as long as the tests."""
    if database == "sqlite":
        yield {"DATABASE_URL": f"sqlite:///{folder}/portal.sqlite3"}
        return
    if not (versions := available_versions()):
        raise DemoError(
            "The tests need PostgreSQL's server programs. Install your system's package."
        )
    newest = max(versions)
    server = PostgresServer(versions[newest], folder / "server", durable=False)
    server.start()
    address = f"{server.superuser}:{server.password}@{server.host}:{server.port}"
    try:
        yield {
            "DATABASE_URL": f"postgres://{address}/portal",
            "APONO_TEST_POSTGRES": os.environ.get("APONO_TEST_POSTGRES", str(newest)),
        }
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
