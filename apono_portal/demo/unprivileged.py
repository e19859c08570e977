"""Run PostgreSQL under another account when started by root, which PostgreSQL refuses.

That account must be able to reach the files. Where it cannot (a checkout in a private home), data and
binaries go to a folder of our own in /var/tmp, and no permissions are changed elsewhere.
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

_BASE = Path("/var/tmp")  # noqa: S108 - survives restarts, and ownership is checked below


@dataclass(frozen=True)
class Runner:
    """The account a server runs under. `switch` is False if it is the current one."""

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
        """Return whether this account may enter every existing folder on the path."""
        folders = [parent for parent in (path, *path.parents) if parent.is_dir()]
        return not self.switch or all(self._may(folder, stat.S_IXUSR) for folder in folders)

    def _may(self, path: Path, bit: int) -> bool:
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & bit)
        if status.st_gid == self.gid:
            return bool(status.st_mode & (bit >> 3))
        return bool(status.st_mode & (bit >> 6))


def choose_runner() -> Runner:
    """Return the current account, or `postgres` or `nobody` if that is root."""
    if os.geteuid() != 0:
        return Runner(os.geteuid(), os.getegid(), switch=False)
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return Runner(account.pw_uid, account.pw_gid, switch=True)
    raise DemoError(
        "PostgreSQL does not run as root, and there is no account postgres or nobody. "
        "Run this as an ordinary user."
    )


def reachable_home(runner: Runner, home: Path) -> Path:
    """Return `home`, or a stable folder in its place that the runner can reach."""
    if runner.can_reach(home):
        return home
    return _own_folder(home) / home.name


def reachable_binaries(runner: Runner, bin_dir: Path, home: Path) -> Path:
    """Return `bin_dir`, or a copy of the wheel's programs that the runner can reach."""
    if runner.can_reach(bin_dir):
        return bin_dir
    wheel = wheel_root(bin_dir)
    if wheel is None:
        raise DemoError(
            f"The account PostgreSQL runs under cannot access {bin_dir}. Make its folders accessible, "
            "install PostgreSQL with the system's packages, or run as an ordinary user."
        )
    install = bin_dir.parent
    programs = _open_folder(_own_folder(home) / "programs")
    copy = _open_folder(programs / wheel.name) / install.name
    if not (copy / bin_dir.name / "postgres").exists():
        _copy_atomically(install, copy)
    libraries = wheel.with_name(f"{wheel.name}.libs")
    beside = copy.parent.with_name(libraries.name)
    if libraries.is_dir() and not beside.is_dir():
        _copy_atomically(libraries, beside)
    return copy / bin_dir.name


def _open_folder(folder: Path) -> Path:
    """Create a folder that others may enter, whatever the umask."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    return folder


def _copy_atomically(source: Path, target: Path) -> None:
    """Copy under another name and rename, so that an interrupted copy is never used."""
    temporary = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.copytree(source, temporary, symlinks=True)
    try:
        temporary.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(temporary)


def _own_folder(home: Path) -> Path:
    """Return this home's folder in /var/tmp, and check its owner: anyone may write there."""
    digest = hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:12]
    folder = _BASE / f"apono-portal-{digest}"
    folder.mkdir(mode=0o755, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise DemoError(f"{folder} belongs to another user. Remove it and start again.")
    folder.chmod(0o755)
    return folder
