"""A wrong environment is refused with a sentence."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.anywhere


@pytest.mark.parametrize(
    ("former", "name"),
    [
        ("SEALING_KEYS", "ENCRYPTION_KEYS"),
        ("PARKED_REQUEST_HOURS", "PENDING_MFA_HOURS"),
        ("TARGET_LOOK_INTERVAL_S", "TARGET_SCAN_INTERVAL_S"),
    ],
)
def test_a_renamed_setting_is_refused_with_its_new_name(former: str, name: str) -> None:
    environment = {**os.environ, former: "1", "DJANGO_SETTINGS_MODULE": "tests.settings"}
    check = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert check.returncode != 0
    assert f"{former} is now called {name}." in check.stderr
