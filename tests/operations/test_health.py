"""/healthz and /readyz of a web process whose database goes silent without an error."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from requests_app.models import WorkerHeartbeat
from tests.fixtures.postgres import PgTarget
from tests.fixtures.silent_proxy import SilentProxy
from tests.fixtures.stack import ROOT, free_port

pytestmark = [
    pytest.mark.target,
    pytest.mark.server,
]
THREADS = 2
HEARTBEATS = WorkerHeartbeat._meta.db_table  # all that /readyz reads


@dataclass
class Web:
    port: int
    proxy: SilentProxy

    def status(self, path: str) -> int:
        """Return the status, which has to come within two seconds."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Cookie", "session=0123456789abcdef0123456789abcdef")
        try:
            with urllib.request.urlopen(request, timeout=2) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    def wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + 30
        while True:
            try:
                if self.status("/readyz") == 200:
                    return
            except OSError:
                pass
            assert time.monotonic() < give_up_at
            time.sleep(0.1)


@pytest.fixture
def web(pg_target: PgTarget) -> Iterator[Web]:
    server = pg_target.server
    pg_target.ask(f"CREATE TABLE IF NOT EXISTS {HEARTBEATS} (name text, seen_at timestamptz)")
    proxy = SilentProxy(server.host, server.port)
    port = free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": f"postgres://{server.superuser}:{server.password}@127.0.0.1:{proxy.port}/postgres",
        "DATABASE_STATEMENT_TIMEOUT_S": "2",
    }
    command = [sys.executable, "-m", "gunicorn", "apono_portal.wsgi:application"]
    command += [f"--bind=127.0.0.1:{port}", "--worker-class=gthread", f"--threads={THREADS}"]
    command += ["--no-control-socket", "--log-level=warning"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        web = Web(port, proxy)
        web.wait_until_ready()
        yield web
    finally:
        process.terminate()
        process.wait(20)
        proxy.close()
        pg_target.ask(f"DROP TABLE {HEARTBEATS}")


def test_web_answers_while_the_database_is_silent(web):
    web.proxy.silence()
    for _ in range(3 * THREADS):
        assert web.status("/readyz") == 503
    assert web.status("/healthz") == 200
    web.proxy.speak()
    web.wait_until_ready()
