"""The processes of the demo: started, watched, restarted and ended together."""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apono_portal.demo.errors import DemoError
from apono_portal.demo.parent import ending_with_parent

LARGEST_LOG_BYTES = 5_000_000
RESTARTS_ALLOWED = 5
RESTARTS_WITHIN_S = 60.0


@dataclass
class Child:
    """A process with a log of its own. It hears no Ctrl-C; we end it, or the kernel when we die."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    restarts: list[float] = field(default_factory=list)

    def start(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG_BYTES:
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
        """The code it ended with; None while it runs or before it was started."""
        return self.process.poll() if self.process else None

    def restart(self) -> None:
        """Start it again after a crash, unless it crashes over and over."""
        now = time.monotonic()
        self.restarts = [at for at in self.restarts if now - at < RESTARTS_WITHIN_S] + [now]
        if len(self.restarts) > RESTARTS_ALLOWED:
            raise DemoError(f"The {self.name} does not stay up. Its last words are in {self.log}.")
        self.start()

    def ask_to_end(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def end(self, *, timeout_s: float) -> None:
        """Wait until it has ended as asked; end it without mercy after that."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
