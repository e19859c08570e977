"""The demo's child processes."""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apono_portal.demo.errors import DemoError
from apono_portal.demo.parent import ending_with_parent

MAX_LOG_BYTES = 5_000_000
MAX_RESTARTS = 5
RESTART_PERIOD_SECONDS = 60.0


@dataclass
class Child:
    """A process with its own log. It ignores Ctrl-C and is stopped by the supervisor or its death."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    restarts: list[float] = field(default_factory=list)

    def start(self) -> None:
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        self.log.touch(mode=0o600)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=ending_with_parent(signal.SIGTERM),
            )

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, None while it runs or before it is started."""
        return self.process.poll() if self.process else None

    def restart(self) -> None:
        """Start the process again, unless it keeps crashing."""
        now = time.monotonic()
        self.restarts = [at for at in self.restarts if now - at < RESTART_PERIOD_SECONDS] + [now]
        if len(self.restarts) > MAX_RESTARTS:
            raise DemoError(f"The {self.name} keeps crashing. See {self.log}.")
        self.start()

    def terminate(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def wait(self, *, timeout_s: float) -> None:
        """Wait for the process to exit, and kill it after the timeout."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
