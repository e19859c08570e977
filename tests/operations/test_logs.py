"""Production logs: one JSON object per line, from the portal and from libraries."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import django, logging, structlog
django.setup()
structlog.get_logger("requests_app.worker.loop").warning("database_unreachable", worker="w1")
logging.getLogger("django.request").error("Not \\n good: %s", "x")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("requests_app.worker.loop").exception("step_failed")
"""


def lines_of(log_format):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "LOG_FORMAT": log_format,
    }
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    return process.stderr.splitlines()


def test_every_line_is_a_json_object_with_details():
    ours, theirs, broken = map(json.loads, lines_of("json"))
    assert (ours["event"], ours["worker"], ours["level"]) == (
        "database_unreachable",
        "w1",
        "warning",
    )
    assert (theirs["event"], theirs["logger"]) == ("Not \n good: x", "django.request")
    assert "ZeroDivisionError" in broken["exception"]
    assert all(line["timestamp"].endswith("Z") for line in (ours, theirs, broken))


def test_line_format_is_readable():
    first, *_ = lines_of("line")
    assert "database_unreachable" in first
    with pytest.raises(json.JSONDecodeError):
        json.loads(first)
