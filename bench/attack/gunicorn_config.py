"""gunicorn's configuration for a campaign: one process with threads, and a clock that can be moved.

Before each request the process reads from the file `ATTACK_CLOCK` how many seconds its clock is
ahead. That is how weeks pass in minutes, without a line about it in the portal.
"""

import os
import threading
import time
from pathlib import Path

import time_machine

worker_class = "gthread"
workers = 1
threads = 16
keepalive = 60
timeout = 120
loglevel = "error"
accesslog = None
control_socket_disable = True

_CLOCK = Path(os.environ["ATTACK_CLOCK"])
_lock = threading.Lock()
_ahead_s = 0.0
_traveller = None


def pre_request(worker: object, request: object) -> None:
    """Move the clock, once for each change of the file."""
    global _ahead_s, _traveller
    ahead_s = float(_CLOCK.read_text() or 0)
    with _lock:
        if ahead_s == _ahead_s:
            return
        if _traveller is None:
            _traveller = time_machine.travel(time.time() + ahead_s, tick=True).start()
        else:
            _traveller.shift(ahead_s - _ahead_s)
        _ahead_s = ahead_s
