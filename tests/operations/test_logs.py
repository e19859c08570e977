"""Logs in production: one JSON object a line, from the portal's own events and from everybody else's."""

import json
import os
import subprocess
import sys

import pytest

SAY = """
import django, logging, structlog
django.setup()
structlog.get_logger("requests_app.worker.loop").warning("database_unreachable", worker="w1")
logging.getLogger("django.request").error("Not \\n good: %s", "x")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("requests_app.worker.loop").exception("step_failed")
"""


def lines_of(chosen):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "LOG_FORMAT": chosen,
    }
    said = subprocess.run(
        [sys.executable, "-c", SAY], env=environment, capture_output=True, text=True, check=True
    )
    return said.stderr.splitlines()


def test_every_line_is_an_object_with_its_details():
    ours, theirs, broken = map(json.loads, lines_of("json"))
    assert (ours["event"], ours["worker"], ours["level"]) == (
        "database_unreachable",
        "w1",
        "warning",
    )
    assert (theirs["event"], theirs["logger"]) == ("Not \n good: x", "django.request")
    assert "ZeroDivisionError" in broken["exception"]
    assert all(each["timestamp"].endswith("Z") for each in (ours, theirs, broken))


def test_people_may_have_lines():
    first, *_ = lines_of("line")
    assert "database_unreachable" in first
    with pytest.raises(json.JSONDecodeError):
        json.loads(first)
