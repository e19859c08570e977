"""The portal's own database may be behind PgBouncer that pools transactions."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from apono_portal.core.db.changes import ChangeDetector
from requests_app.models import AccessRequest, Status
from tests.factories import AuthenticatorFactory, code_for
from tests.fixtures.missing import skip_unless_ci
from tests.fixtures.pgbouncer import find_pgbouncer, running_pgbouncer
from tests.requests_app.conftest import settle
from tests.requests_app.worker.test_killed_worker import ROOT, environment

pytestmark = [
    pytest.mark.target,
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def behind_pgbouncer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reach the tests' database as with DATABASE_SERVER_TIMEOUTS=0 and DATABASE_CONN_MAX_AGE=0."""
    if connection.vendor != "postgresql":
        pytest.skip("the portal's database is not PostgreSQL")
    program = find_pgbouncer()
    if program is None:
        skip_unless_ci("PgBouncer is not installed.")
    settings = connection.settings_dict
    with running_pgbouncer(program, tmp_path, settings) as port:
        options = {k: v for k, v in settings["OPTIONS"].items() if k != "options"}
        address = {"HOST": "127.0.0.1", "PORT": port, "OPTIONS": options, "CONN_MAX_AGE": 0}
        for name, value in address.items():
            monkeypatch.setitem(settings, name, value)
        connection.close()
        with open_transaction(), open_transaction():
            pass  # the pool has two server connections from now on
        yield
        connection.close()
        monkeypatch.undo()


@contextmanager
def open_transaction() -> Iterator[None]:
    database = connection.settings_dict
    address = {"host": database["HOST"], "port": database["PORT"], "dbname": database["NAME"]}
    with psycopg.connect(**address, user=database["USER"]) as client:
        client.execute("SELECT 1")
        yield


def verify_the_log() -> None:
    """Verify it in a process of its own, which reads rows in batches."""
    settings = {"DATABASE_SERVER_TIMEOUTS": "0", "DATABASE_CONN_MAX_AGE": "0"}
    command = [sys.executable, "manage.py", "audit", "verify"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment() | settings, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_request_a_code_and_an_activation(behind_pgbouncer, real_flow, signed_in):
    flow, user = real_flow.flow, real_flow.requester
    flow.require_mfa = True
    flow.save()
    device = AuthenticatorFactory(user=user)
    client = signed_in(user)
    fields = {"target": flow.targets.get().pk, "duration": "1h", "justification": "Fix OPS-1."}
    assert client.post("/requests/new/", fields).status_code == 302
    request = AccessRequest.objects.get()
    assert request.status == Status.PENDING_MFA
    assert client.post("/account/step-up/", {"code": code_for(device)}).status_code == 302
    settle()
    request.refresh_from_db()
    assert request.status == Status.ACTIVE
    assert real_flow.pg.grant_roles()
    verify_the_log()


def test_commits_are_detected(behind_pgbouncer, real_flow):
    changes = ChangeDetector()
    changes.reset()
    AuthenticatorFactory()
    assert changes.has_changes()
