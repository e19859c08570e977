"""A worker process whose database goes silent: access ends on time, and is recorded afterwards."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from audit.models import Event
from requests_app.grants.credentials import reveal_credential
from requests_app.models import GrantState, Status, WorkerHeartbeat
from requests_app.worker.deadline_watchdog import REFRESH_INTERVAL
from requests_app.worker.loop import EXIT_CODE_SILENT
from tests.fixtures.postgres import versions_to_test
from tests.fixtures.silent_proxy import SilentProxy

pytestmark = [
    pytest.mark.target,
    pytest.mark.server,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="A file does not go silent"),
    pytest.mark.parametrize("pg_version", versions_to_test()[-1:], indirect=True),
]
ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 40
SILENCE_BEFORE_END = timedelta(seconds=2)
DURATION = REFRESH_INTERVAL + timedelta(seconds=5)


@pytest.fixture
def proxy() -> Iterator[SilentProxy]:
    database = connection.settings_dict
    proxy = SilentProxy(database["HOST"], int(database["PORT"]))
    yield proxy
    proxy.close()


@contextmanager
def worker(proxy: SilentProxy) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that reaches its database through the proxy, and exits after four silent seconds."""
    database = connection.settings_dict
    address = f"{database['USER']}:{database['PASSWORD']}@127.0.0.1:{proxy.port}"
    settings = {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": f"postgres://{address}/{database['NAME']}",
        "WORKER_MAX_SILENCE_S": "4",
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "worker"], cwd=ROOT, env=os.environ | settings
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], object]) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < PATIENCE_S, "It did not happen in time."
        time.sleep(0.05)


def test_access_ends_on_time_and_is_recorded_by_the_next_worker(real_flow, proxy):
    with worker(proxy) as first:
        until(WorkerHeartbeat.objects.exists)
        request = real_flow.request(duration=DURATION)
        until(lambda: type(request).objects.get().status == Status.ACTIVE)
        grant = request.grants.get()
        credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
        with real_flow.pg.log_in(credential) as session:
            left = grant.deadline - SILENCE_BEFORE_END - timezone.now()
            time.sleep(max(left.total_seconds(), 0))
            proxy.silence()
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT pg_sleep(60)")
        assert abs(timezone.now() - grant.deadline) < timedelta(seconds=2)
        until(lambda: not real_flow.pg.ask("SELECT 1 FROM pg_roles WHERE rolcanlogin AND rolname = %s", [grant.login]))  # fmt: skip
        assert first.wait(PATIENCE_S) == EXIT_CODE_SILENT
    with worker(proxy):
        proxy.speak()
        until(lambda: type(request).objects.get().status == Status.EXPIRED)
    grant.refresh_from_db()
    assert (grant.state, grant.proof["holds"]) == (GrantState.REMOVED, True)
    for event in ("grant:contain", "grant:prove", "request:expire"):
        assert Event.objects.filter(event=event).count() == 1
