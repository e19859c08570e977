"""A real PostgreSQL of our own: for the demo's target, for tests and for benchmarks.

    server = PostgresServer(available_versions()[15], Path("var/target"))
    server.start()
    ...
    server.stop()

The server is a direct child of this process and ends with it. Sign-in always needs the password.
Opening the same folder again keeps the data, the password and, if it is still free, the port.
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
_LONGEST_SOCKET_FOLDER = 80  # sun_path holds 107 bytes on Linux, 103 elsewhere


class PostgresServer:
    """One server in one folder. `host`, `port`, `superuser` and `password` say how to sign in.

    `settings` are server parameters (`postgres -c name=value`). `durable=False` is for tests: it
    trades safety after a power cut for speed.
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
        wanted = Path(data_dir).absolute()
        self.bin_dir = reachable_binaries(self._runner, Path(bin_dir), wanted)
        self.home = reachable_home(self._runner, wanted)
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
        return self._process is not None and self._process.poll() is None and self._says_ready()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, *, timeout_s: float = 30) -> None:
        """Make the cluster if there is none, start it and wait until it takes sign-ins."""
        if self._process is not None and self._process.poll() is None:
            return
        self._make_home()
        remembered = self._remembered()
        self.password = str(remembered.get("password") or secrets.token_urlsafe(24))
        if not (self.data / "PG_VERSION").exists():
            self._init_cluster()
        self._wait_for_predecessor()
        self.port = self._choose_port(remembered.get("port"))
        self._remember()
        self._launch()
        self._wait_until_ready(timeout_s)

    def stop(self, *, timeout_s: float = 10) -> None:
        """Fast shutdown: open sessions are ended, everything is written. Then without mercy."""
        process = self._process
        if process is None:
            return
        for ask, patience in ((signal.SIGINT, timeout_s), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            if process.poll() is None:
                process.send_signal(ask)
            try:
                process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue
        self._process = None
        if self.socket_dir != self.home:
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def conninfo(self, database: str = "postgres") -> dict[str, str | int]:
        """Connection parameters of the superuser."""
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
        self.home.chmod(0o711)  # the log and the remembered password in it are for their owner only
        self.socket_dir = self.home
        if len(str(self.home)) > _LONGEST_SOCKET_FOLDER:
            self.socket_dir = Path(tempfile.mkdtemp(prefix="apono-pg-"))
            self._runner.own(self.socket_dir)

    @property
    def _memory(self) -> Path:
        return self.home / "server.json"

    def _remembered(self) -> dict[str, object]:
        try:
            kept = json.loads(self._memory.read_text())
        except FileNotFoundError:
            if self.data.exists():
                raise DemoError(
                    f"{self.data} has data but {self._memory.name} with its password is gone. "
                    "Move the folder away to start with a new one."
                ) from None
            return {}
        except ValueError:
            raise DemoError(f"{self._memory} cannot be read. Move its folder away.") from None
        return dict(kept)

    def _remember(self) -> None:
        aside = self._memory.with_suffix(".new")
        aside.unlink(missing_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"port": self.port, "password": self.password}, file)
        aside.replace(self._memory)

    def _init_cluster(self) -> None:
        """Build aside and rename, so that an interrupted start leaves no half cluster."""
        self._remember()
        aside = self.home / "data.new"
        shutil.rmtree(aside, ignore_errors=True)
        password_file = self.home / "first-password"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        self._runner.own(password_file)
        command = [
            str(self.bin_dir / "initdb"),
            f"--pgdata={aside}",
            f"--username={self.superuser}",
            f"--pwfile={password_file}",
            "--auth-local=scram-sha-256",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            *([] if self._durable else ["--no-sync"]),
        ]
        try:
            made = subprocess.run(  # type: ignore[call-overload]
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
        if made.returncode != 0:
            raise DemoError(f"initdb could not make {aside}: {made.stderr.strip()[-500:]}")
        aside.rename(self.data)

    # The process

    def _wait_for_predecessor(self, *, timeout_s: float = 15) -> None:
        """A server we left behind is on its way out; a recycled process number is not a server."""
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

    def _choose_port(self, remembered: object) -> int:
        if self.port:
            if not _is_free(self.port):
                raise DemoError(
                    f"Port {self.port} is taken by another program. Stop it or choose another port."
                )
            return self.port
        if isinstance(remembered, int) and remembered and _is_free(remembered):
            return remembered
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
                start_new_session=True,  # Ctrl-C is for us to hear, the server is stopped last
                preexec_fn=ending_with_parent(signal.SIGINT),
                **self._runner.popen_arguments,
            )

    def _says_ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _wait_until_ready(self, timeout_s: float) -> None:
        give_up_at = time.monotonic() + timeout_s
        while not self._says_ready():
            if self._process is None or self._process.poll() is not None:
                self._process = None
                raise DemoError(f"PostgreSQL did not start. Its last words: {self._last_words()}")
            if time.monotonic() > give_up_at:
                self.stop()
                raise DemoError(
                    f"PostgreSQL was not ready after {timeout_s:.0f} s. See {self.log_file}."
                )
            time.sleep(0.02)

    def _last_words(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines()
        return " ".join(lines[-3:])[-500:]


def _plain_environment() -> dict[str, str]:
    """No PG* variable of ours leaks into the server."""
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
    """Is this process a server of that folder? Servers live in their data folder."""
    process = Path("/proc") / str(pid)
    if process.exists():
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            return "postgres" in words and (process / "cwd").resolve() == data.resolve()
        except OSError:
            return False
    if Path("/proc/self").exists():
        return False
    asked = subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "postgres" in asked.stdout and str(data) in asked.stdout
