"""The demo's data: exact flows, created once, through services that record events."""

import json
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.test import RequestFactory

from accessflows.models import AccessFlow, Integration
from apono_portal.demo.seeding import SEEDING_EMAIL, seed
from apono_portal.users.models import User
from audit.models import Event
from tests.fixtures.postgres import (  # noqa: F401
    PgTarget,
    pg_target,
    pg_version,
    provisioned_server,
    start_postgres,
)

pytestmark = [pytest.mark.django_db, pytest.mark.target]


@pytest.fixture(autouse=True)
def seeding_process(settings) -> None:
    """Run as the demo's seeding process does (`apono_portal.demo.supervisor.prepare_portal`)."""
    settings.MFA_ADMINS_MUST_ENROL = False


@pytest.fixture
def accounts(tmp_path: Path, pg_target: PgTarget) -> Path:  # noqa: F811
    file = tmp_path / "demo-accounts.json"
    seed(pg_target.target, accounts=file)
    return file


def test_accounts_file_is_readable_by_its_owner_only(accounts):
    listed = json.loads(accounts.read_text())
    assert [account["role"] for account in listed] == ["admin", "approver", "requester", "auditor"]
    assert stat.S_IMODE(accounts.stat().st_mode) == 0o600
    request = RequestFactory().post("/sign-in/")
    for account in listed:
        assert authenticate(request, username=account["email"], password=account["password"])


@pytest.mark.parametrize(
    ("name", "mfa", "approval", "hours", "targets"),
    [
        ("Orders read-only", True, "automatic", 8, ["orders · orders_read"]),
        ("Billing read-write", True, "any_of", 2, ["billing · billing_write"]),
        (
            "Orders staging",
            False,
            "automatic",
            8,
            ["orders_staging · orders_read", "orders_staging · orders_write"],
        ),
    ],
)
def test_flow_is_as_documented(accounts, name, mfa, approval, hours, targets):
    flow = AccessFlow.objects.get(name=name)
    requester = User.objects.get(email="requester@demo.example")
    assert (flow.require_mfa, flow.approval) == (mfa, approval)
    assert flow.max_duration == timedelta(hours=hours)
    assert sorted(map(str, flow.targets.all())) == targets
    assert flow in AccessFlow.objects.requestable_by(requester)


def test_broker_has_the_rights_it_needs(accounts):
    """Only checks of the server itself may fail: its version, and settings that other tests need."""
    report = Integration.objects.get().health_report
    failed = {check["name"] for check in report if not check["ok"]}
    assert failed <= {"Version", "Prepared transactions"}


def test_seeding_again_changes_nothing(accounts, pg_target):  # noqa: F811
    before = accounts.read_text()
    events = Event.objects.count()
    assert seed(pg_target.target, accounts=accounts) == []
    assert accounts.read_text() == before
    assert Event.objects.count() == events


def test_deleted_flow_stays_deleted(accounts, pg_target):  # noqa: F811
    AccessFlow.objects.filter(name="Orders staging").delete()
    seed(pg_target.target, accounts=accounts)
    assert not AccessFlow.objects.filter(name="Orders staging").exists()


def test_integration_follows_a_new_target(accounts, pg_target, start_postgres):  # noqa: F811
    Integration.objects.update(system_identifier="1")
    moved = replace(pg_target.target, host="localhost")
    seed(moved, accounts=accounts)
    integration = Integration.objects.get()
    assert integration.host == "localhost"
    assert integration.system_identifier not in {"", "1"}


def test_nobody_can_sign_in_as_the_seeding_user(accounts):
    assert not User.objects.get(email=SEEDING_EMAIL).has_usable_password()


def test_portal_with_other_users_is_not_seeded(admin_user, tmp_path, pg_target):  # noqa: F811
    assert seed(pg_target.target, accounts=tmp_path / "accounts.json") == []
    assert not Integration.objects.exists()
