"""A mutant of what runs at import: it needs a Python of its own, started anew.

Imported there as a pytest plugin, this takes the broken source and a migrated database.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.base.creation import BaseDatabaseCreation

from bench.mutate.probes import load_as

PLUGIN = "bench.mutate.slow"
NOTE = "MUTATE_KILLER"
START_S = 90  # a new Python and the portal in it, on a busy machine


def meets_slowly(
    home: Path, template: Path, path: str, source: bytes, tests: list[str], timeout_s: float
) -> dict[str, str] | None:
    """Run tests against a broken file up to the first failure; None if they take too long."""
    note, broken = home / f"killer-{os.getpid()}", home / f"broken-{os.getpid()}.py"
    broken.write_bytes(source)
    note.write_text("")
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-x",
                "-n0",
                "--no-header",
                f"--basetemp={home / f'pytest-slow-{os.getpid()}'}",
                "-p",
                PLUGIN,
                *tests,
            ],
            env={
                **os.environ,
                "MUTATE_TEMPLATE": str(template),
                "MUTATE_FILE": str(Path.cwd() / path),
                "MUTATE_BROKEN": str(broken),
                NOTE: str(note),
            },
            capture_output=True,
            check=False,
            timeout=START_S + timeout_s,
        )
    except subprocess.TimeoutExpired:
        return None
    return {"killer": note.read_text() or ("the start of the portal" if done.returncode else "")}


def _create(self: BaseDatabaseCreation, *arguments: Any, **options: Any) -> str:
    """In place of all migrations, take a copy of a migrated database."""
    name = str(self.connection.settings_dict["TEST"]["NAME"])
    self.connection.close()
    shutil.copyfile(os.environ["MUTATE_TEMPLATE"], name)
    self.connection.settings_dict["NAME"] = name
    return name


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed and NOTE in os.environ:
        Path(os.environ[NOTE]).write_text(report.nodeid)


if "MUTATE_BROKEN" in os.environ:
    _file = os.environ["MUTATE_FILE"]
    load_as({_file: compile(Path(os.environ["MUTATE_BROKEN"]).read_bytes(), _file, "exec")})
    BaseDatabaseCreation.create_test_db = _create  # type: ignore[method-assign]
