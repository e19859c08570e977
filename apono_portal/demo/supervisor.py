"""Start the demo, keep it running, and stop all of it.

Start order: PostgreSQL target, portal database with demo data, web server, worker; they stop in reverse
order. Every process is a child of this one and ends with it, even if it is killed.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from accessflows.connectors.protocol import Target
from apono_portal.demo.children import Child
from apono_portal.demo.environment import demo_environment, parse_port, worker_environment
from apono_portal.demo.errors import DemoError
from apono_portal.demo.parent import ending_with_parent
from apono_portal.demo.postgres_server import PostgresServer, available_versions
from apono_portal.demo.target import provision_target
from apono_portal.demo.unprivileged import choose_runner, reachable_home

ROOT = Path(__file__).resolve().parents[2]
VAR = Path(os.environ.get("DEMO_FOLDER") or ROOT / "var").absolute()
ACCOUNTS = VAR / "demo-accounts.json"
HOST = "127.0.0.1"
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 12


class Stopped(Exception):
    """The demo was asked to stop."""


class StopSignal:
    """Whether the demo was asked to stop.

    The signal handler only sets a flag: an exception raised there could be swallowed by the code it
    interrupts.
    """

    def __init__(self) -> None:
        self.received = False

    def install(self) -> None:
        """Handle Ctrl-C, SIGTERM, and a closing terminal unless `nohup` ignores it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if number != signal.SIGHUP or not ignored:
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received = True

    def sleep(self, seconds: float) -> None:
        """Sleep, and raise Stopped once a signal was received."""
        give_up_at = time.monotonic() + seconds
        while not self.received and time.monotonic() < give_up_at:
            time.sleep(0.05)
        if self.received:
            raise Stopped


stop_signal = StopSignal()


def main() -> int:
    """Run until stopped. Returns the exit code."""
    stop_signal.install()
    os.umask(0o077)
    try:
        port = parse_port(os.environ.get("PORT"))
        require_free(port)
        VAR.mkdir(mode=0o700, exist_ok=True)
        VAR.chmod(0o700)
        with exclusive_lock(), running_target() as server:
            run(server, port)
    except Stopped:
        say("Stopped.")
        return 0
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def say(sentence: str) -> None:
    # Standard output may be closed; that must not leave processes behind.
    with suppress(OSError):
        print(sentence, flush=True)


def require_free(port: int) -> None:
    """Raise DemoError if the port cannot be used."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise DemoError(
                f"Port {port} is reserved for the system. Choose another port: PORT=8080 make run"
            ) from None
        except OSError:
            other = port + 1 if port < 65535 else port - 1
            raise DemoError(
                f"Port {port} is already in use. Stop that program or choose another port: "
                f"PORT={other} make run"
            ) from None


@contextmanager
def exclusive_lock() -> Iterator[None]:
    """Lock the demo's data folder while the demo runs."""
    with (VAR / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                "The demo is already running from this folder. Stop it first."
            ) from None
        yield


@contextmanager
def running_target() -> Iterator[PostgresServer]:
    """Run the demo's PostgreSQL, which stops last."""
    say("Starting the demo's PostgreSQL")
    folder = reachable_home(choose_runner(), VAR / "target")
    server = PostgresServer(programs_for(folder), folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def programs_for(folder: Path) -> Path:
    """Return the server programs for the data in ``folder``, or the newest if there is none."""
    versions = available_versions()
    if not versions:
        raise DemoError(
            "No PostgreSQL server was found. Install your system's postgresql package, "
            "or run: rm .venv/ready-to-run; make run"
        )
    with suppress(OSError):
        used = int((folder / "data" / "PG_VERSION").read_text())
        if used not in versions:
            raise DemoError(
                f"{folder} needs PostgreSQL {used}, which is not installed. Install it, or move the "
                "folder away to create the demo's target again."
            )
        return versions[used]
    return versions[max(versions)]


def run(server: PostgresServer, port: int) -> None:
    """Start the portal around the target and keep it running until an exception."""
    own = demo_environment(VAR, port)
    broker_password = own.pop("DEMO_BROKER_PASSWORD")
    environment = {"MALLOC_ARENA_MAX": "1", **os.environ, **own}  # docs/operations.md, Sizing
    environment["DATABASE_URL"] = os.environ.get("DATABASE_URL") or own["DATABASE_URL"]
    target = provision_target(server, broker_password)
    prepare_portal(target, environment)
    children = [web(port, environment), worker(environment)]
    try:
        for child in children:
            child.start()
        wait_until_ready(children[0], own["PORTAL_URL"])
        announce(own["PORTAL_URL"])
        keep_up(children, server)
    finally:
        stop_all(children)


def stop_all(children: list[Child]) -> None:
    """Terminate all processes, and kill those that have not exited after a shared timeout."""
    give_up_at = time.monotonic() + STOP_TIMEOUT_SECONDS
    for child in reversed(children):
        child.terminate()
    for child in reversed(children):
        child.wait(timeout_s=max(0.1, give_up_at - time.monotonic()))


def prepare_portal(target: Target, environment: dict[str, str]) -> None:
    """Migrate, collect static files and seed the demo, in a process of its own.

    Its actor is a user that nobody can sign in as, and so has no MFA.
    """
    command = [sys.executable, str(ROOT / "manage.py"), "demo"]
    command += [f"--host={target.host}", f"--port={target.port}", f"--broker={target.user}"]
    command += [f"--accounts={ACCOUNTS}"]
    process = subprocess.Popen(
        command,
        env={
            **environment,
            "DEMO_BROKER_PASSWORD": target.password,
            "MFA_ADMINS_MUST_ENROL": "0",
        },
        start_new_session=True,
        preexec_fn=ending_with_parent(signal.SIGTERM),
    )
    try:
        while process.poll() is None:
            stop_signal.sleep(0.1)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
    if process.returncode:
        raise DemoError("The demo could not be prepared. See the error above.")


def web(port: int, environment: dict[str, str]) -> Child:
    command = [sys.executable, "-m", "gunicorn", "apono_portal.wsgi:application"]
    command += [f"--bind={HOST}:{port}", "--worker-class=gthread", "--workers=2", "--threads=4"]
    command += ["--graceful-timeout=5", "--log-level=warning", "--no-control-socket"]
    command += [f"--chdir={ROOT}"]
    return Child("web server", command, VAR / "web.log", environment)


def worker(environment: dict[str, str]) -> Child:
    """Return the worker, which alone can sign audit checkpoints."""
    command = [sys.executable, str(ROOT / "manage.py"), "worker"]
    environment = {**environment, **worker_environment(VAR)}
    return Child("worker", command, VAR / "worker.log", environment)


def wait_until_ready(child: Child, address: str) -> None:
    give_up_at = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < give_up_at:
        if child.exit_code is not None:
            raise DemoError(f"The {child.name} did not start. See {child.log}.")
        if is_ready(f"{address}/readyz"):
            return
        stop_signal.sleep(0.1)
    raise DemoError(f"The {child.name} does not respond. See {child.log}.")


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:  # noqa: S310
            return bool(response.status == 200)
    except OSError:
        return False


def announce(address: str) -> None:
    say(f"\nThe portal is running at {address}\n")
    try:
        accounts = json.loads(ACCOUNTS.read_text())
    except (OSError, ValueError):
        say(f"The demo's passwords are no longer in {ACCOUNTS}.")
        accounts = []
    for account in accounts:
        say(f"  {account['role']:<10} {account['email']:<24} {account['password']}")
    say(f"\nPress Ctrl-C to stop. Logs are in {VAR}.")


def keep_up(children: list[Child], server: PostgresServer) -> None:
    """Restart what crashes, until the demo is stopped."""
    while True:
        stop_signal.sleep(0.5)
        for child in children:
            if (code := child.exit_code) is not None:
                say(f"The {child.name} exited ({code}); restarting it. See {child.log}.")
                child.restart()
        if not server.is_up:
            say("The demo's PostgreSQL exited; restarting it.")
            server.stop()
            server.start()
