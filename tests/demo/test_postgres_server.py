"""The launcher: a real server that is ours, asks for passwords and does not stay behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from apono_portal.demo.errors import DemoError
from apono_portal.demo.postgres_binaries import wheel_root
from apono_portal.demo.postgres_server import PostgresServer, available_versions
from apono_portal.demo.target import provision_target

NEWEST = max(available_versions(), default=0)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that an unprivileged account can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="apono-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "target"


@pytest.fixture
def server(home: Path) -> Iterator[PostgresServer]:
    assert NEWEST, "No PostgreSQL binaries found. Install requirements-dev.txt."
    server = PostgresServer(available_versions()[NEWEST], home, durable=False)
    yield server
    server.stop()


def test_starts_answers_and_stops(server: PostgresServer) -> None:
    server.start()
    assert server.is_up
    with psycopg.connect(**server.conninfo()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    server.stop()
    assert not server.is_up


def test_runs_as_somebody_unprivileged(server: PostgresServer) -> None:
    server.start()
    assert Path(f"/proc/{server.pid}").stat().st_uid != 0


def test_password_is_asked_on_tcp_and_on_the_socket(server: PostgresServer) -> None:
    server.start()
    for host in (server.host, str(server.socket_dir)):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(**(server.conninfo() | {"password": "wrong", "host": host}))
        psycopg.connect(**(server.conninfo() | {"host": host})).close()


def test_secrets_on_disk_are_for_their_owner_only(server: PostgresServer) -> None:
    server.start()
    for name in ("server.json", "server.log"):
        assert (server.home / name).stat().st_mode & 0o077 == 0
    assert not (server.home / "first-password").exists()


def test_opening_again_keeps_data_password_and_port_and_is_quick(
    home: Path, server: PostgresServer
) -> None:
    server.start()
    with psycopg.connect(**server.conninfo()) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    server.stop()
    again = PostgresServer(server.bin_dir, home, durable=False)
    begun = time.monotonic()
    again.start()
    try:
        assert time.monotonic() - begun < 2
        assert (again.port, again.password) == (server.port, server.password)
        with psycopg.connect(**again.conninfo()) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    finally:
        again.stop()


def test_taken_port_is_a_sentence(home: Path, server: PostgresServer) -> None:
    server.start()
    other = PostgresServer(server.bin_dir, home.with_name("other"), port=server.port)
    with pytest.raises(DemoError, match=f"Port {server.port} is already in use"):
        other.start()


def test_folder_in_use_is_a_sentence(home: Path, server: PostgresServer) -> None:
    server.start()
    other = PostgresServer(server.bin_dir, home, durable=False)
    with pytest.raises(DemoError, match="already uses"):
        other._wait_for_predecessor(timeout_s=0.1)


@pytest.mark.parametrize("content", ["999999999\n", "not a number", ""])
def test_stale_pid_file_is_no_obstacle(server: PostgresServer, content: str) -> None:
    server.start()
    server.stop()
    (server.data / "postmaster.pid").write_text(content or f"{os.getpid()}\n")
    server.start()
    assert server.is_up


def test_lost_password_file_is_a_sentence(server: PostgresServer) -> None:
    server.start()
    server.stop()
    (server.home / "server.json").unlink()
    with pytest.raises(DemoError, match="Move the folder away"):
        server.start()


def test_setting_the_server_refuses_is_a_sentence(home: Path) -> None:
    server = PostgresServer(available_versions()[NEWEST], home, settings={"no_such_setting": "1"})
    with pytest.raises(DemoError, match="no_such_setting"):
        server.start()


def test_server_ends_when_its_parent_is_killed(home: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from apono_portal.demo.postgres_server import PostgresServer\n"
        f"server = PostgresServer(Path({str(available_versions()[NEWEST])!r}),"
        f" Path({str(home)!r}), durable=False)\n"
        "server.start(); print(server.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    give_up_at = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and not _is_zombie(pid):
        assert time.monotonic() < give_up_at, "the server was left behind"
        time.sleep(0.05)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z"
    except OSError:
        return True


def test_provisioning_twice_keeps_the_rows(server: PostgresServer) -> None:
    server.start()
    for _ in range(2):
        provision_target(server, "broker")
    with psycopg.connect(**server.conninfo("orders")) as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM sales.customers), (SELECT count(*) FROM sales.orders)"
        ).fetchone()
    assert counts == (100, 240)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives the server to another account")
def test_private_folder_is_not_opened_but_replaced(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    server = PostgresServer(available_versions()[NEWEST], private / "target", durable=False)
    try:
        server.start()
        assert server.is_up
        assert server.home.is_relative_to("/var/tmp")
        assert private.stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()
        shutil.rmtree(server.home.parent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives the server to another account")
def test_binaries_in_a_private_folder_are_copied_also_by_who_keeps_files_private(
    tmp_path: Path,
) -> None:
    wheel = wheel_root(available_versions()[NEWEST])
    assert wheel is not None, "The newest version is expected to come from the wheel."
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        (private / part.name).symlink_to(part)
    bin_dir = private / available_versions()[NEWEST].relative_to(wheel.parent)
    mask = os.umask(0o077)  # as the demo's supervisor does
    server = PostgresServer(bin_dir, private / "target", durable=False)
    try:
        server.start()
        assert server.is_up
        assert server.bin_dir.is_relative_to("/var/tmp")
    finally:
        os.umask(mask)
        server.stop()
        shutil.rmtree(server.home.parent)
