"""Finding a Chromium for the browser tests, and getting one where that is possible."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

# The shell has no window to draw, which is a third of what the others cost.
SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
PROGRAMS = (
    "chromium_headless_shell-*/*/*headless[-_]shell",
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)
SENTENCE = (
    "The browser tests need Chromium or Chrome and found none. Install your system's package, run "
    "`.venv/bin/playwright install chromium`, or set CHROMIUM to the program's path."
)


class NoChromium(Exception):
    """The message says what to do."""


def find_chromium() -> str | None:
    """Return the path of CHROMIUM, the system's browser, or the one Playwright downloaded."""
    return next((str(path) for path in _candidates() if os.access(path, os.X_OK)), None)


def ensure_chromium() -> str:
    """Return a browser's path; in CI, as root on Debian, install it if there is none."""
    found = find_chromium()
    if found is None and _may_install():
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        found = _install(SHELL) or _install("chromium")
    if found is None:
        raise NoChromium(SENTENCE)
    return found


def _install(package: str) -> str | None:
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return find_chromium()


def _may_install() -> bool:
    return bool(os.environ.get("CI")) and os.geteuid() == 0 and bool(shutil.which("apt-get"))


def _candidates() -> Iterator[Path]:
    if named := os.environ.get("CHROMIUM"):
        yield Path(named)
    yield from (Path(path) for path in map(shutil.which, NAMES) if path)
    yield MAC
    caches = (Path.home() / ".cache/ms-playwright", Path.home() / "Library/Caches/ms-playwright")
    for cache in caches:
        for program in PROGRAMS:
            yield from sorted(cache.glob(program), reverse=True)
