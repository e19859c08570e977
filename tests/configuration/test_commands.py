"""A wrong start is one sentence; check_settings says what is set; setup leads to a first sign-in."""

import os
import re
import sqlite3
import stat
import subprocess
import sys

import pytest
from django.db import connection

from apono_portal.configuration.registry import FORMER_NAMES, SETTINGS
from tests.architecture.sources import ROOT

pytestmark = pytest.mark.anywhere
REQUIRED = {
    "SECRET_KEY": "secret-" + "s" * 50,
    "ENCRYPTION_KEYS": "k1:" + "A" * 86 + "==",
    "PORTAL_URL": "https://access.example.org",
    "DATABASE_URL": "sqlite://:memory:",
}


def manage(*arguments, typed="", module="manage.py", **variables):
    ours = {*SETTINGS, "DJANGO_SETTINGS_MODULE", "ENV_FILE"}
    others = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [sys.executable, *module.split(), *arguments],
        cwd=ROOT,
        env={**others, **variables},
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_wrong_start_is_one_sentence():
    process = manage("migrate", **{**REQUIRED, "SESSION_HOURS": "twelve"})
    assert process.returncode == 1
    assert process.stderr == "SESSION_HOURS must be a whole number, such as 12.\n"


def test_a_wrong_start_of_the_web_is_one_sentence():
    config = ("--config", "python:apono_portal.gunicorn_config")
    process = manage(*config, module="-m gunicorn", **{**REQUIRED, "DATABASE_URL": "mysql://x/y"})
    assert process.returncode == 1
    assert process.stderr == "DATABASE_URL must start with postgres:// or sqlite://.\n"


def test_a_renamed_setting_is_refused_with_its_new_name():
    former, name = next(iter(FORMER_NAMES.items()))
    process = manage("migrate", **REQUIRED, **{former: "1"})
    assert process.stderr == f"{former} is now called {name}. Rename the variable.\n"


def test_check_settings_says_what_is_set_and_from_where(tmp_path):
    file = tmp_path / "portal.env"
    file.write_text("SESSION_HOURS=8\nSESION_IDLE_MINUTES=5\n")
    process = manage("check_settings", **REQUIRED, ENV_FILE=str(file))
    assert process.returncode == 0
    assert re.search(rf"^SESSION_HOURS +8 +{file}$", process.stdout, re.MULTILINE)
    assert re.search(r"^SECRET_KEY +set, not shown +environment$", process.stdout, re.MULTILINE)
    assert (
        f"Warning: SESION_IDLE_MINUTES in {file} is not a setting of the portal." in process.stdout
    )
    assert "migrations are pending" in process.stdout
    assert REQUIRED["SECRET_KEY"] not in process.stdout + process.stderr


def test_check_settings_says_everything_that_is_wrong():
    process = manage("check_settings", PORTAL_URL="x", DEBUG="perhaps", ENCRYPTION_KEYS="k:v")
    assert process.returncode == 1
    assert "Wrong: Set SECRET_KEY: 50 or more random characters." in process.stdout
    assert "Wrong: DEBUG must be 1 or 0." in process.stdout
    assert "The portal can start" not in process.stdout


@pytest.fixture
def migrated(db, tmp_path):
    """Copy the database of the tests: to migrate an empty one takes longer than all of the set-up."""
    source = sqlite3.connect(connection.settings_dict["NAME"])
    copy = sqlite3.connect(tmp_path / "portal.sqlite3")
    source.backup(copy)
    source.close()
    copy.close()


def test_setup_writes_a_private_file_and_a_link_for_the_first_admin(tmp_path, migrated):
    database = f"sqlite:///{tmp_path / 'portal.sqlite3'}"
    answers = ["https://access.example.org", database, "", "many", "1", "ada@example.org", "Ada"]
    folder = tmp_path / "etc"

    process = manage("setup", "--folder", str(folder), typed="\n".join(answers) + "\n")
    assert process.returncode == 0, process.stderr
    assert "TRUSTED_PROXIES must be a whole number" in process.stdout
    assert "https://access.example.org/" in process.stdout
    for name in ("portal.env", "audit.key"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    again = manage("setup", "--folder", str(folder))
    assert again.returncode == 1
    assert "portal.env exists already" in again.stderr


def test_setup_writes_nothing_when_the_portal_cannot_start(tmp_path):
    answers = [
        "https://access.example.org",
        "postgres://x:y@127.0.0.1:1/z",
        "",
        "1",
        "a@b.c",
        "Ada",
    ]
    process = manage("setup", "--folder", str(tmp_path), typed="\n".join(answers))
    assert process.returncode == 1
    assert "The database cannot be reached" in process.stderr
    assert list(tmp_path.iterdir()) == []
