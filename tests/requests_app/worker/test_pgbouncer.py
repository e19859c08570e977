"""The portal's own database may be behind PgBouncer that pools transactions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from apono_portal.core.db.changes import ChangeDetector
from requests_app.evidence_checks import find_unrecorded_rows
from requests_app.models import AccessRequest, Status
from tests.factories import AuthenticatorFactory, code_for
from tests.fixtures.pgbouncer import find_pgbouncer, running_pgbouncer
from tests.fixtures.postgres import versions_to_test
from tests.requests_app.conftest import settle

pytestmark = [
    pytest.mark.target,
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("pg_version", versions_to_test()[-1:], indirect=True),
]


@pytest.fixture
def behind_pgbouncer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reach the tests' database as with DATABASE_SERVER_TIMEOUTS=0 and DATABASE_CONN_MAX_AGE=0."""
    if connection.vendor != "postgresql":
        pytest.skip("the portal's database is not PostgreSQL")
    program = find_pgbouncer()
    assert program, "Install the package pgbouncer of your system."
    settings = connection.settings_dict
    with running_pgbouncer(program, tmp_path, settings) as port:
        options = {k: v for k, v in settings["OPTIONS"].items() if k != "options"}
        address = {"HOST": "127.0.0.1", "PORT": port, "OPTIONS": options, "CONN_MAX_AGE": 0}
        for name, value in (address | {"DISABLE_SERVER_SIDE_CURSORS": True}).items():
            monkeypatch.setitem(settings, name, value)
        connection.close()
        yield
        connection.close()
        monkeypatch.undo()


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
    # Rows read in batches: a cursor on the server would be another client's by the second one.
    assert list(find_unrecorded_rows()) == []


def test_commits_are_detected(behind_pgbouncer, real_flow):
    changes = ChangeDetector()
    changes.reset()
    AuthenticatorFactory()
    assert changes.has_changes()
