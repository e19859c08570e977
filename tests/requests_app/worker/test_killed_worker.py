"""`manage.py worker` as a process: it stops on a signal, and a killed one is taken over."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from audit.events import EventName
from audit.models import Event
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.revocation import revoke_access
from requests_app.models import GrantState, Status
from requests_app.worker.loop import Worker

pytestmark = [
    pytest.mark.target,
    pytest.mark.server,
    pytest.mark.django_db(transaction=True),
]
ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 40


def environment() -> dict[str, str]:
    """The tests' settings, with the database of this test and a short lease."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        where = f"{database['HOST']}:{database['PORT']}"
        url = f"postgres://{database['USER']}:{database['PASSWORD']}@{where}/{database['NAME']}"
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": url,
        "WORKER_LEASE_S": "2",
        "WORKER_INTERVAL_S": "0.2",
    }


@contextmanager
def worker(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """The worker as a process of its own, or another command in its place."""
    process = subprocess.Popen(
        [sys.executable, *(command or ("manage.py", "worker"))],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def another_worker() -> Iterator[None]:
    """A worker in this process, to take over."""
    other = Worker("another", interval_s=0.2)
    thread = threading.Thread(target=other.run)
    thread.start()
    try:
        yield
    finally:
        other.stop()
        thread.join(PATIENCE_S)


def until(holds: Callable[[], object]) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < PATIENCE_S, "It did not happen in time."
        time.sleep(0.05)


def stands(thing) -> str:
    thing.refresh_from_db()
    return getattr(thing, "state", None) or thing.status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_stops_when_told(real_flow, number):
    request = real_flow.request()
    with worker() as process:
        until(lambda: stands(request) == Status.ACTIVE)
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert b"worker_stopped" in output
    assert b"password" not in output.lower()


def let_one_be_killed(method: str, when: str) -> None:
    with worker("-m", "tests.requests_app.worker.mortal_worker", method, when) as process:
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_killed_during_activation_is_taken_over(real_flow, when):
    request = real_flow.request()
    let_one_be_killed("activate", when)
    grant = request.grants.get()
    assert (grant.state, stands(request)) == (GrantState.ACTIVATING, Status.GRANTING)
    with another_worker():
        until(lambda: stands(request) == Status.ACTIVE)
    assert request.ends_at == grant.deadline
    assert len(real_flow.pg.grant_roles()) == 1


@pytest.mark.parametrize(
    ("method", "when"),
    [
        ("contain_many", "before"),
        ("contain_many", "after"),
        ("find_owned_objects", "before"),
        ("clean", "before"),
        ("clean", "after"),
        ("prove_many", "before"),
        ("prove_many", "after"),
    ],
)
def test_a_worker_killed_during_removal_is_taken_over(real_flow, method, when):
    grant = real_flow.active_grant()
    credential = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    session = real_flow.pg.log_in(credential)
    revoke_access(actor=real_flow.requester, request=grant.request)
    let_one_be_killed(method, when)
    assert stands(grant) in {GrantState.REVOKING, GrantState.CONTAINED}
    with another_worker():
        until(lambda: stands(grant.request) == Status.REVOKED)
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    assert real_flow.pg.grant_roles() == []
    assert stands(grant) == GrantState.REMOVED
    assert grant.proof["holds"] is True


def test_two_workers_share_revocations_and_record_them_once(real_flow):
    grants = [real_flow.active_grant() for _ in range(6)]
    for grant in grants:
        revoke_access(actor=real_flow.requester, request=grant.request)
    with worker(), worker():
        until(lambda: all(stands(grant.request) == Status.REVOKED for grant in grants))
    for event in (EventName.GRANT_CONTAIN, EventName.GRANT_PROVE, EventName.REQUEST_REVOKE):
        assert Event.objects.filter(event=event).count() == len(grants)
