"""A backup restored into a fresh database: what ended stays ended, and nothing live is unknown."""

import io
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from apono_portal.demo.postgres_binaries import available_versions
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.verification import verify_log
from audit.models import Delivery, Event
from mfa.models import MfaState
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.revocation import revoke_access
from requests_app.models import AccessRequest, Grant, GrantState, Status
from tests.architecture.sources import ROOT
from tests.factories import AccessRequestFactory, UserFactory
from tests.requests_app.conftest import RealFlow, real_flow  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.target, pytest.mark.server]


@pytest.fixture(autouse=True)
def tools(db, monkeypatch) -> None:
    """Find the programs of the server's own version: older ones refuse it."""
    if connection.vendor != "postgresql":
        pytest.skip("backups are PostgreSQL's")
    connection.ensure_connection()
    programs = available_versions()[connection.pg_version // 10_000]
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "portal.backup"


def run(*command: str, **options: object) -> str:
    output = io.StringIO()
    call_command(*command, stdout=output, **options)
    return output.getvalue()


@contextmanager
def fresh_database() -> Iterator[None]:
    """Let the portal's connection lead to an empty database."""
    given = connection.settings_dict
    before = given["NAME"]
    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE restored")
    connection.close()
    given["NAME"] = "restored"
    try:
        yield
    finally:
        connection.close()
        given["NAME"] = before
        with connection.cursor() as cursor:
            cursor.execute("DROP DATABASE restored WITH (FORCE)")


def restore_beside(previous: str, file: Path) -> str:
    """Restore as an operator does who still has the previous database."""
    environment = {
        "DATABASE_URL": address_of(connection.settings_dict["NAME"]),
        "PREVIOUS_DATABASE_URL": address_of(previous),
        "PORTAL_ID": settings.PORTAL_ID,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    command = [sys.executable, "manage.py", "restore", str(file)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def address_of(database: str) -> str:
    given = connection.settings_dict
    address = f"{given['USER']}:{given['PASSWORD']}@{given['HOST']}:{given['PORT']}"
    return f"postgres://{address}/{database}"


def test_drill(real_flow: RealFlow, file: Path, signed_in):  # noqa: F811
    previous = connection.settings_dict["NAME"]
    known = real_flow.active_grant()
    ended = real_flow.active_grant()
    approved = real_flow.request(status=Status.GRANTING)
    signed_in(real_flow.requester)
    Delivery.objects.create(event_id=1, recipient="a@example.org", subject="s", body="b")
    assert "Not in it, and needed to restore: ENCRYPTION_KEYS (t1)" in run("backup", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    revoke_access(actor=real_flow.requester, request=ended.request)
    real_flow.requester.set_password("another password")
    real_flow.requester.save()
    unknown = real_flow.active_grant()
    credential = reveal_credential(actor=real_flow.requester, grant=unknown, window=None)
    last_event = Event.objects.latest("pk").pk

    preview = run("restore", str(file), dry_run=True)
    assert f"AR-{unknown.request_id} " in preview
    assert f"AR-{ended.request_id} from Revoked to Active" in preview
    assert "Unknown logins on targets: 2" in preview  # and what was approved before the backup

    with real_flow.pg.log_in(credential) as session, fresh_database():
        report = restore_beside(previous, file)
        assert f"Unknown logins removed from targets: 2\n  {real_flow.integration}" in report
        assert "Ended users: 0" in report
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
        assert not real_flow.pg.role_exists(unknown.login)
        assert Grant.objects.get(pk=known.pk).state == GrantState.ACTIVE
        assert AccessRequest.objects.get(pk=ended.request_id).status == Status.REVOKING
        assert AccessRequest.objects.get(pk=approved.pk).status == Status.CANCELLED
        assert not Session.objects.exists()
        assert MfaState.objects.get(user=real_flow.requester).epoch >= 1000
        restored = type(real_flow.requester).objects.get(pk=real_flow.requester.pk)
        assert not restored.has_usable_password()
        assert Delivery.objects.get().state == Delivery.State.WITHDRAWN
        assert AccessRequestFactory().pk > unknown.request_id
        event = Event.objects.get(event="audit:restore")
        assert event.pk > last_event
        write_checkpoints(timezone.now())
        verified = verify_log()
        assert verified.ok, verified.findings
        assert any("restored at" in note for note in verified.notes)


def test_without_the_previous_database_numbers_jump_and_passwords_end(file: Path):
    user, before = UserFactory(), AccessRequestFactory()
    run("backup", str(file))
    with fresh_database():
        run("restore", str(file))
        assert AccessRequestFactory().pk > before.pk + 1_000_000
        assert not type(user).objects.get(pk=user.pk).has_usable_password()
        with pytest.raises(CommandError, match="not empty"):
            run("restore", str(file))


def test_a_damaged_backup_restores_nothing(file: Path):
    run("backup", str(file))
    with zipfile.ZipFile(file) as archive:
        start = archive.getinfo("database.dump").header_offset
    content = bytearray(file.read_bytes())
    content[start + 5000] ^= 1
    file.write_bytes(content)
    with fresh_database():
        with pytest.raises(CommandError):
            run("restore", str(file))
        assert connection.introspection.table_names() == []


def test_refusals(file: Path, settings):
    settings.KEY_FILES = [str(file.parent / "keys")]
    with pytest.raises(CommandError, match="Keep backups and keys apart"):
        run("backup", str(file))
    settings.KEY_FILES = []
    run("backup", str(file))
    with pytest.raises(CommandError, match="File exists"):
        run("backup", str(file))
    settings.PORTAL_ID = "another"
    with pytest.raises(CommandError, match="PORTAL_ID is another"):
        run("restore", str(file), dry_run=True)
