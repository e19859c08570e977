"""The demo's environment: a valid port, and keys that persist."""

import stat
from pathlib import Path

import pytest

from apono_portal.demo.environment import demo_environment, parse_port, worker_environment
from apono_portal.demo.errors import DemoError
from audit.verify_export.signed_notes import parse_signing_key


@pytest.mark.parametrize(("text", "port"), [(None, 8000), ("", 8000), ("8080", 8080)])
def test_port_is_8000_by_default(text, port):
    assert parse_port(text) == port


@pytest.mark.parametrize("text", ["0", "65536", "-1", "80.5", "http", "٨٠٨٠", " 8000", "1e3"])
def test_invalid_port_is_refused(text):
    with pytest.raises(DemoError, match="number from 1 to 65535"):
        parse_port(text)


def test_keys_are_random_and_readable_by_their_owner_only(tmp_path: Path):
    (tmp_path / "other").mkdir()
    first = demo_environment(tmp_path, 8000)
    other = demo_environment(tmp_path / "other", 8000)
    assert stat.S_IMODE((tmp_path / "demo.env").stat().st_mode) == 0o600
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "DEMO_BROKER_PASSWORD", "PORTAL_ID"):
        assert first[name] != other[name]


def test_keys_persist_when_the_port_changes(tmp_path: Path):
    first = demo_environment(tmp_path, 8000)
    second = demo_environment(tmp_path, 8080)
    assert first.pop("PORTAL_URL") == "http://localhost:8000"
    assert second.pop("PORTAL_URL") == "http://localhost:8080"
    assert first == second


def test_only_the_worker_gets_the_key_that_signs_checkpoints(tmp_path: Path):
    shared, own = demo_environment(tmp_path, 8000), worker_environment(tmp_path)
    file = Path(own["AUDIT_SIGNING_KEY_FILE"])
    key = parse_signing_key(file.read_text().strip())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert shared["AUDIT_PUBLIC_KEYS"] == str(key.public_key)
    assert str(key) not in (tmp_path / "demo.env").read_text()
    assert not {name for name in shared if "SIGNING" in name}


def test_database_without_its_keys_is_refused(tmp_path: Path):
    (tmp_path / "portal.sqlite3").touch()
    with pytest.raises(DemoError, match=r"demo.env is missing.*Move"):
        demo_environment(tmp_path, 8000)
