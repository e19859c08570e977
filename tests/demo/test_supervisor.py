"""``make run``: everything starts, stays up and stops; no process is left behind."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.stack import ROOT, Stack, free_port, stack  # noqa: F401

pytestmark = [
    pytest.mark.target,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc"),
]


def processes_of(stack: Stack) -> dict[int, str]:  # noqa: F811
    """Return running processes whose environment or command line names the folder of stack or target."""
    names = (str(stack.folder).encode(), str(stack.target_home).encode())
    processes = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if any(name in text for name in names):
            processes[int(process.name)] = (process / "cmdline").read_bytes().decode()
    return processes


def wait_for(condition: Callable[[], bool], within_s: float = 20) -> bool:
    give_up_at = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.1)
    return True


def demo(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "apono_portal.demo"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_demo_starts_restarts_a_crashed_worker_and_stops(stack: Stack):  # noqa: F811
    assert stack.answers()
    for account in stack.accounts.values():
        assert account["email"] in stack.output
        assert account["password"] in stack.output
    assert stat.S_IMODE((stack.folder / "demo-accounts.json").stat().st_mode) == 0o600

    again = demo(DEMO_FOLDER=str(stack.folder), PORT=str(free_port()))
    assert again.returncode == 1
    assert "already running from this folder" in again.stderr

    [worker] = [pid for pid, command in processes_of(stack).items() if "\0worker\0" in command]
    os.kill(worker, signal.SIGKILL)
    assert wait_for(lambda: "The worker exited (-9); restarting it" in stack.output)

    assert stack.send(signal.SIGINT) == 0
    assert processes_of(stack) == {}
    assert "Stopped." in stack.output


@pytest.mark.anywhere
def test_no_process_outlives_a_killed_supervisor(stack: Stack):  # noqa: F811
    assert any("postgres" in command for command in processes_of(stack).values())
    stack.send(signal.SIGKILL)
    assert wait_for(lambda: processes_of(stack) == {}), processes_of(stack)
    accounts = stack.accounts
    assert stack.start().accounts == accounts


def test_port_in_use_is_reported(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = demo(DEMO_FOLDER=str(tmp_path), PORT=str(port))
    assert result.returncode == 1
    assert f"Port {port} is already in use" in result.stderr
    assert "PORT=" in result.stderr
    assert "Traceback" not in result.stderr
