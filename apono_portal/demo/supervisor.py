"""Starts the demo, tells where it is, keeps it up, and ends all of it.

Order of starting: PostgreSQL target, database and demo data, web, worker. They end the other way
round. Every process is a child of this one and ends with it, also when it is killed.
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
from apono_portal.demo.environment import chosen_port, demo_environment
from apono_portal.demo.errors import DemoError
from apono_portal.demo.parent import ending_with_parent
from apono_portal.demo.postgres_server import PostgresServer, available_versions
from apono_portal.demo.target import provision_target
from apono_portal.demo.unprivileged import choose_runner, reachable_home

ROOT = Path(__file__).resolve().parents[2]
VAR = Path(os.environ.get("DEMO_FOLDER") or ROOT / "var").absolute()
ACCOUNTS = VAR / "demo-accounts.json"
HOST = "127.0.0.1"
READY_WITHIN_S = 60
END_WITHIN_S = 12


class Stopped(Exception):
    """Somebody asked us to end."""


class Ears:
    """Hears that we shall end. The handler only notes it: an exception raised in the middle of
    anything could be swallowed there, and the request to end with it.
    """

    def __init__(self) -> None:
        self.told = False

    def listen(self) -> None:
        """To Ctrl-C, a plain kill, and the closing terminal unless `nohup` says otherwise."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if number != signal.SIGHUP or not ignored:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.told = True

    def pause(self, seconds: float) -> None:
        """Sleep, and raise Stopped if we were told to end."""
        give_up_at = time.monotonic() + seconds
        while not self.told and time.monotonic() < give_up_at:
            time.sleep(0.05)
        if self.told:
            raise Stopped


ears = Ears()


def main() -> int:
    """Run until asked to end. Returns the exit code."""
    ears.listen()
    os.umask(0o077)
    try:
        port = chosen_port(os.environ.get("PORT"))
        require_free(port)
        VAR.mkdir(mode=0o700, exist_ok=True)
        VAR.chmod(0o700)
        with only_one_of_us(), running_target() as server:
            run(server, port)
    except Stopped:
        say("Everything has ended.")
        return 0
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def say(sentence: str) -> None:
    # Whoever listened may be gone; that is no reason to leave processes behind.
    with suppress(OSError):
        print(sentence, flush=True)


def require_free(port: int) -> None:
    """Raise DemoError with a sentence if nobody can listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise DemoError(
                f"Port {port} is for the system's own services. Choose another: PORT=8080 make run"
            ) from None
        except OSError:
            other = port + 1 if port < 65535 else port - 1
            raise DemoError(
                f"Port {port} is taken by another program. Stop it, or choose another port: "
                f"PORT={other} make run"
            ) from None


@contextmanager
def only_one_of_us() -> Iterator[None]:
    """Hold a lock on the folder with the demo's data for as long as we run."""
    with (VAR / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError("The demo already runs from this folder. End it first.") from None
        yield


@contextmanager
def running_target() -> Iterator[PostgresServer]:
    """The demo's PostgreSQL, ended last."""
    say("Starting the demo's PostgreSQL")
    folder = reachable_home(choose_runner(), VAR / "target")
    server = PostgresServer(programs_for(folder), folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def programs_for(folder: Path) -> Path:
    """Return the server programs that fit the data in ``folder``, the newest if there is none."""
    versions = available_versions()
    if not versions:
        raise DemoError(
            "No PostgreSQL server programs were found. Install your system's postgresql package, "
            "or run: rm .venv/ready-to-run; make run"
        )
    with suppress(OSError):
        used = int((folder / "data" / "PG_VERSION").read_text())
        if used not in versions:
            raise DemoError(
                f"{folder} was made by PostgreSQL {used}, which is gone. Install it again, or move "
                "the folder away: the demo's target is then made anew."
            )
        return versions[used]
    return versions[max(versions)]


def run(server: PostgresServer, port: int) -> None:
    """Bring everything up around the target and keep it up. Only an exception ends it."""
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
        end_all(children)


def end_all(children: list[Child]) -> None:
    """Ask all of them to end, give them some seconds together, and end the rest without mercy."""
    last_moment = time.monotonic() + END_WITHIN_S
    for child in reversed(children):
        child.ask_to_end()
    for child in reversed(children):
        child.end(timeout_s=max(0.1, last_moment - time.monotonic()))


def prepare_portal(target: Target, environment: dict[str, str]) -> None:
    """Migrate, collect static files and fill in the demo's data, in a process of its own."""
    command = [sys.executable, str(ROOT / "manage.py"), "demo"]
    command += [f"--host={target.host}", f"--port={target.port}", f"--broker={target.user}"]
    command += [f"--accounts={ACCOUNTS}"]
    preparing = subprocess.Popen(
        command,
        env={**environment, "DEMO_BROKER_PASSWORD": target.password},
        start_new_session=True,
        preexec_fn=ending_with_parent(signal.SIGTERM),
    )
    try:
        while preparing.poll() is None:
            ears.pause(0.1)
    finally:
        if preparing.poll() is None:
            preparing.terminate()
        preparing.wait()
    if preparing.returncode:
        raise DemoError("The demo could not be prepared; what went wrong stands above.")


def web(port: int, environment: dict[str, str]) -> Child:
    command = [sys.executable, "-m", "gunicorn", "apono_portal.wsgi:application"]
    command += [f"--bind={HOST}:{port}", "--worker-class=gthread", "--workers=2", "--threads=4"]
    command += ["--graceful-timeout=5", "--log-level=warning", "--no-control-socket"]
    command += [f"--chdir={ROOT}"]
    return Child("web server", command, VAR / "web.log", environment)


def worker(environment: dict[str, str]) -> Child:
    command = [sys.executable, str(ROOT / "manage.py"), "worker"]
    return Child("worker", command, VAR / "worker.log", environment)


def wait_until_ready(child: Child, address: str) -> None:
    give_up_at = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up_at:
        if child.exit_code is not None:
            raise DemoError(f"The {child.name} did not start. Its last words are in {child.log}.")
        if answers(f"{address}/readyz"):
            return
        ears.pause(0.1)
    raise DemoError(f"The {child.name} does not answer. Its last words are in {child.log}.")


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def announce(address: str) -> None:
    say(f"\nThe portal is at {address}\n")
    try:
        accounts = json.loads(ACCOUNTS.read_text())
    except (OSError, ValueError):
        say(f"The demo's sign-ins are not in {ACCOUNTS} any more.")
        accounts = []
    for account in accounts:
        say(f"  {account['role']:<10} {account['email']:<24} {account['password']}")
    say(f"\nCtrl-C ends all of it. Logs are in {VAR}.")


def keep_up(children: list[Child], server: PostgresServer) -> None:
    """Start again what crashes, with a sentence, until we are asked to end."""
    while True:
        ears.pause(0.5)
        for child in children:
            if (code := child.exit_code) is not None:
                say(f"The {child.name} ended ({code}) and is started again. See {child.log}.")
                child.restart()
        if not server.is_up:
            say("The demo's PostgreSQL ended and is started again.")
            server.stop()
            server.start()
