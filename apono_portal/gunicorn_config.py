"""Gunicorn's settings: ``python -m gunicorn --config python:apono_portal.gunicorn_config``.

Options on the command line and in ``GUNICORN_CMD_ARGS`` win.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

try:
    import apono_portal.settings  # noqa: F401  a wrong setting ends the start with one sentence
except ImproperlyConfigured as error:
    sys.exit(str(error))

wsgi_app = "apono_portal.wsgi:application"
bind = "127.0.0.1:8000"
worker_class = "gthread"
workers = 2
threads = 4
graceful_timeout = 30  # seconds that SIGTERM leaves to requests
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  never a disk
# The processes share their request durations through files there (`observability.request_durations`).
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # it is there after SIGHUP
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp("-metrics", "portal-", worker_tmp_dir)


def on_exit(server: Any) -> None:
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
