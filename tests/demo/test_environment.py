"""The demo's environment: a port that is said right, keys that stay."""

import stat
from pathlib import Path

import pytest

from apono_portal.demo.environment import chosen_port, demo_environment
from apono_portal.demo.errors import DemoError


@pytest.mark.parametrize(("text", "port"), [(None, 8000), ("", 8000), ("8080", 8080)])
def test_port_is_8000_unless_said(text, port):
    assert chosen_port(text) == port


@pytest.mark.parametrize("text", ["0", "65536", "-1", "80.5", "http", "٨٠٨٠", " 8000", "1e3"])
def test_a_port_that_is_none_gets_a_sentence(text):
    with pytest.raises(DemoError, match="number from 1 to 65535"):
        chosen_port(text)


def test_keys_are_random_and_for_their_owner_only(tmp_path: Path):
    (tmp_path / "other").mkdir()
    made = demo_environment(tmp_path, 8000)
    other = demo_environment(tmp_path / "other", 8000)
    assert stat.S_IMODE((tmp_path / "demo.env").stat().st_mode) == 0o600
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "DEMO_BROKER_PASSWORD", "PORTAL_ID"):
        assert made[name] != other[name]


def test_keys_stay_when_the_port_changes(tmp_path: Path):
    first = demo_environment(tmp_path, 8000)
    second = demo_environment(tmp_path, 8080)
    assert first.pop("PORTAL_URL") == "http://127.0.0.1:8000"
    assert second.pop("PORTAL_URL") == "http://127.0.0.1:8080"
    assert first == second


def test_a_database_without_its_keys_is_not_touched(tmp_path: Path):
    (tmp_path / "portal.sqlite3").touch()
    with pytest.raises(DemoError, match=r"demo.env is gone.*Move"):
        demo_environment(tmp_path, 8000)
