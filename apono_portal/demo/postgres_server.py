"""A private PostgreSQL server, for the demo's target, tests and benchmarks.

    server = PostgresServer(available_versions()[15], Path("var/target"))
    server.start()
    ...
    server.stop()

The server is a child of this process and ends with it. Sign-in always requires the password. Opening
the same folder again keeps the data, the password and, if it is free, the port.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from apono_portal.demo.errors import DemoError
from apono_portal.demo.parent import ending_with_parent
from apono_portal.demo.postgres_binaries import available_versions
from apono_portal.demo.unprivileged import choose_runner, reachable_binaries, reachable_home

__all__ = ["DemoError", "PostgresServer", "available_versions"]

_HOST = "127.0.0.1"
_MAX_SOCKET_PATH = 80  # sun_path holds 107 bytes on Linux, 103 elsewhere


class PostgresServer:
    """A server in a folder. Sign in with `host`, `port`, `superuser` and `password`.

    `settings` are server parameters (`postgres -c name=value`). `durable=False` trades safety after a
    power failure for speed.
    """

    superuser = "postgres"
    host = _HOST

    def __init__(
        self,
        bin_dir: Path,
        data_dir: Path,
        port: int = 0,
        *,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._runner = choose_runner()
        folder = Path(data_dir).absolute()
        self.bin_dir = reachable_binaries(self._runner, Path(bin_dir), folder)
        self.home = reachable_home(self._runner, folder)
        self.port = port
        self.password = ""
        self.socket_dir = self.home
        self._durable = durable
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log_file(self) -> Path:
        return self.home / "server.log"

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None and self._is_ready()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, *, timeout_s: float = 30) -> None:
        """Create the cluster if there is none, start it and wait until it accepts connections."""
        if self._process is not None and self._process.poll() is None:
            return
        self._make_home()
        stored = self._load_state()
        self.password = str(stored.get("password") or secrets.token_urlsafe(24))
        if not (self.data / "PG_VERSION").exists():
            self._init_cluster()
        self._wait_for_predecessor()
        self.port = self._choose_port(stored.get("port"))
        self._save_state()
        self._launch()
        self._wait_until_ready(timeout_s)

    def stop(self, *, timeout_s: float = 10) -> None:
        """Shut down fast: end sessions, write everything; kill the server if that takes too long."""
        process = self._process
        if process is None:
            return
        for number, timeout in (
            (signal.SIGINT, timeout_s),
            (signal.SIGQUIT, 5),
            (signal.SIGKILL, 5),
        ):
            if process.poll() is None:
                process.send_signal(number)
            try:
                process.wait(timeout)
                break
            except subprocess.TimeoutExpired:
                continue
        self._process = None
        if self.socket_dir != self.home:
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def conninfo(self, database: str = "postgres") -> dict[str, str | int]:
        """Return the superuser's connection parameters."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": database,
            "user": self.superuser,
            "password": self.password,
        }

    # The folder

    def _make_home(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self._runner.own(self.home)
        self.home.chmod(0o711)  # the log and the password in it are readable by their owner only
        self.socket_dir = self.home
        if len(str(self.home)) > _MAX_SOCKET_PATH:
            self.socket_dir = Path(tempfile.mkdtemp(prefix="apono-pg-"))
            self._runner.own(self.socket_dir)

    @property
    def _state_file(self) -> Path:
        return self.home / "server.json"

    def _load_state(self) -> dict[str, object]:
        try:
            state = json.loads(self._state_file.read_text())
        except FileNotFoundError:
            if self.data.exists():
                raise DemoError(
                    f"{self.data} has data, but {self._state_file.name} with its password is missing. "
                    "Move the folder away to start with a new one."
                ) from None
            return {}
        except ValueError:
            raise DemoError(f"{self._state_file} cannot be read. Move its folder away.") from None
        return dict(state)

    def _save_state(self) -> None:
        temporary = self._state_file.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"port": self.port, "password": self.password}, file)
        temporary.replace(self._state_file)

    def _init_cluster(self) -> None:
        """Create under another name and rename, so that an interrupted start leaves no partial cluster."""
        self._save_state()
        temporary = self.home / "data.new"
        shutil.rmtree(temporary, ignore_errors=True)
        password_file = self.home / "first-password"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        self._runner.own(password_file)
        command = [
            str(self.bin_dir / "initdb"),
            f"--pgdata={temporary}",
            f"--username={self.superuser}",
            f"--pwfile={password_file}",
            "--auth-local=scram-sha-256",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            *([] if self._durable else ["--no-sync"]),
        ]
        try:
            result = subprocess.run(  # type: ignore[call-overload]
                command,
                capture_output=True,
                text=True,
                check=False,
                env=_plain_environment(),
                cwd="/",
                **self._runner.popen_arguments,
            )
        finally:
            password_file.unlink(missing_ok=True)
        if result.returncode != 0:
            raise DemoError(f"initdb failed in {temporary}: {result.stderr.strip()[-500:]}")
        temporary.rename(self.data)

    # The process

    def _wait_for_predecessor(self, *, timeout_s: float = 15) -> None:
        """Wait for a server left over from an earlier run, and ignore a recycled process id."""
        pid_file = self.data / "postmaster.pid"
        give_up_at = time.monotonic() + timeout_s
        while True:
            pid = _first_number(pid_file)
            if pid is None or not _serves(pid, self.data):
                pid_file.unlink(missing_ok=True)
                return
            if time.monotonic() > give_up_at:
                raise DemoError(
                    f"A PostgreSQL server (process {pid}) already uses {self.data}. Stop it first."
                )
            time.sleep(0.05)

    def _choose_port(self, last_port: object) -> int:
        if self.port:
            if not _is_free(self.port):
                raise DemoError(
                    f"Port {self.port} is already in use. Stop that program or choose another port."
                )
            return self.port
        if isinstance(last_port, int) and last_port and _is_free(last_port):
            return last_port
        with socket.socket() as probe:
            probe.bind((_HOST, 0))
            port: int = probe.getsockname()[1]
            return port

    def _launch(self) -> None:
        settings = {
            "listen_addresses": _HOST,
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
            "password_encryption": "scram-sha-256",
            "logging_collector": "off",
            "timezone": "UTC",
        }
        if int((self.data / "PG_VERSION").read_text()) >= 16:
            settings["reserved_connections"] = "5"
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [f"-c{name}={value}" for name, value in (settings | self._settings).items()]
        descriptor = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as log:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                [str(self.bin_dir / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_plain_environment(),
                start_new_session=True,  # not reached by Ctrl-C: the server is stopped last
                preexec_fn=ending_with_parent(signal.SIGINT),
                **self._runner.popen_arguments,
            )

    def _is_ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _wait_until_ready(self, timeout_s: float) -> None:
        give_up_at = time.monotonic() + timeout_s
        while not self._is_ready():
            if self._process is None or self._process.poll() is not None:
                self._process = None
                raise DemoError(f"PostgreSQL did not start: {self._log_tail()}")
            if time.monotonic() > give_up_at:
                self.stop()
                raise DemoError(
                    f"PostgreSQL was not ready after {timeout_s:.0f} s. See {self.log_file}."
                )
            time.sleep(0.02)

    def _log_tail(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines()
        return " ".join(lines[-3:])[-500:]


def _plain_environment() -> dict[str, str]:
    """Return an environment without our PG* variables."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C", "LC_ALL": "C"}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _first_number(path: Path) -> int | None:
    try:
        return int(path.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def _serves(pid: int, data: Path) -> bool:
    """Return whether a process is the server of a data folder, its working directory."""
    process = Path("/proc") / str(pid)
    if process.exists():
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            return "postgres" in command and (process / "cwd").resolve() == data.resolve()
        except OSError:
            return False
    if Path("/proc/self").exists():
        return False
    result = subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "postgres" in result.stdout and str(data) in result.stdout
