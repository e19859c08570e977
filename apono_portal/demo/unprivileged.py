"""Running PostgreSQL as somebody else when we are root: it refuses to run as root.

The other user must be able to reach the files. Where it cannot (a checkout below a private home),
data and binaries get a place of our own below /var/tmp, and nobody's folder is opened up.
"""

import hashlib
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from apono_portal.demo.errors import DemoError
from apono_portal.demo.postgres_binaries import wheel_root

_PLACE = Path("/var/tmp")  # noqa: S108 - kept over restarts, and ownership is checked below


@dataclass(frozen=True)
class Runner:
    """The account a server runs under. `switch` is False if that is simply ourselves."""

    uid: int
    gid: int
    switch: bool

    @property
    def popen_arguments(self) -> dict[str, object]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def own(self, path: Path) -> None:
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, path: Path) -> bool:
        """May this account pass through every folder above `path`, and through it if it exists?"""
        folders = [parent for parent in (path, *path.parents) if parent.is_dir()]
        return not self.switch or all(self._may(folder, stat.S_IXUSR) for folder in folders)

    def _may(self, path: Path, bit: int) -> bool:
        there = path.stat()
        if there.st_uid == self.uid:
            return bool(there.st_mode & bit)
        if there.st_gid == self.gid:
            return bool(there.st_mode & (bit >> 3))
        return bool(there.st_mode & (bit >> 6))


def choose_runner() -> Runner:
    """Ourselves, or `postgres` or `nobody` when we are root."""
    if os.geteuid() != 0:
        return Runner(os.geteuid(), os.getegid(), switch=False)
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return Runner(account.pw_uid, account.pw_gid, switch=True)
    raise DemoError(
        "PostgreSQL does not run as root and there is no account named postgres or nobody. "
        "Run this as an ordinary user."
    )


def reachable_home(runner: Runner, home: Path) -> Path:
    """`home` itself, or a stable place instead of it that the runner can reach."""
    if runner.can_reach(home):
        return home
    return _own_place(home) / home.name


def reachable_binaries(runner: Runner, bin_dir: Path, home: Path) -> Path:
    """`bin_dir` itself, or a copy of the wheel's programs and libraries the runner can reach."""
    if runner.can_reach(bin_dir):
        return bin_dir
    wheel = wheel_root(bin_dir)
    if wheel is None:
        raise DemoError(
            f"The account PostgreSQL runs under cannot reach {bin_dir}. Let others pass through "
            "its folders, install PostgreSQL with the system's packages, or run as an ordinary user."
        )
    install = bin_dir.parent
    programs = _open_folder(_own_place(home) / "programs")
    copied = _open_folder(programs / wheel.name) / install.name
    if not (copied / bin_dir.name / "postgres").exists():
        _copy_whole(install, copied)
    libraries = wheel.with_name(f"{wheel.name}.libs")
    beside = copied.parent.with_name(libraries.name)
    if libraries.is_dir() and not beside.is_dir():
        _copy_whole(libraries, beside)
    return copied / bin_dir.name


def _open_folder(folder: Path) -> Path:
    """A folder that others may pass through, whatever mask this process keeps its own files with."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    return folder


def _copy_whole(source: Path, wanted: Path) -> None:
    """Copy aside and rename, so that an interrupted copy is never taken for a whole one."""
    aside = wanted.with_name(f"{wanted.name}.{os.getpid()}")
    shutil.copytree(source, aside, symlinks=True)
    try:
        aside.rename(wanted)
    except OSError:  # somebody else finished first
        shutil.rmtree(aside)


def _own_place(home: Path) -> Path:
    """A folder of this `home` below /var/tmp. Anybody may write there: make sure it is ours."""
    digest = hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:12]
    place = _PLACE / f"apono-portal-{digest}"
    place.mkdir(mode=0o755, exist_ok=True)
    there = place.lstat()
    if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.geteuid():
        raise DemoError(f"{place} belongs to somebody else. Remove it and start again.")
    place.chmod(0o755)
    return place
