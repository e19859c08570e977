"""The client as users run it: one file, in a process of its own, with a folder for its settings."""

import os
import subprocess
import sys
import zipapp
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.sources import ROOT
from tests.fixtures.postgres import (  # noqa: F401
    pg_target,
    pg_version,
    provisioned_server,
    start_postgres,
)
from tests.requests_app.conftest import real_flow  # noqa: F401


@dataclass
class Cli:
    """``cli.run("requests")`` runs ``aport requests``."""

    program: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.program), *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "XDG_CONFIG_HOME": str(self.home),
                **self.environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, typed: str = "") -> Any:
        """Return the finished process, with its exit code and what it wrote."""
        process = self.start(*arguments)
        out, err = process.communicate(typed, timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("aport") / "aport"
    zipapp.create_archive(ROOT / "cli", path, main="aport.__main__:run")
    return path


@pytest.fixture
def cli(program: Path, tmp_path: Path) -> Cli:
    return Cli(program, tmp_path)
