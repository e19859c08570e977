"""The demo's data: the flows to the letter, made once, by services that leave their events."""

import json
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.test import RequestFactory

from accessflows.models import AccessFlow, Integration
from apono_portal.demo.seeding import SET_UP_EMAIL, seed
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


@pytest.fixture
def accounts(tmp_path: Path, pg_target: PgTarget) -> Path:  # noqa: F811
    file = tmp_path / "demo-accounts.json"
    seed(pg_target.target, accounts=file)
    return file


def test_the_sign_ins_are_written_down_for_their_owner_only(accounts):
    kept = json.loads(accounts.read_text())
    assert [account["role"] for account in kept] == ["admin", "approver", "requester", "auditor"]
    assert stat.S_IMODE(accounts.stat().st_mode) == 0o600
    request = RequestFactory().post("/sign-in/")
    for account in kept:
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
def test_a_flow_is_as_the_demo_promises(accounts, name, mfa, approval, hours, targets):
    flow = AccessFlow.objects.get(name=name)
    requester = User.objects.get(email="requester@demo.example")
    assert (flow.require_mfa, flow.approval) == (mfa, approval)
    assert flow.max_duration == timedelta(hours=hours)
    assert sorted(map(str, flow.targets.all())) == targets
    assert flow in AccessFlow.objects.requestable_by(requester)


def test_the_broker_has_every_right_it_needs(accounts):
    """What is left is the server's own: its age, and settings other tests need."""
    report = Integration.objects.get().health_report
    failed = {check["name"] for check in report if not check["ok"]}
    assert failed <= {"Version", "Prepared transactions"}


def test_seeding_again_changes_nothing(accounts, pg_target):  # noqa: F811
    before = accounts.read_text()
    events = Event.objects.count()
    assert seed(pg_target.target, accounts=accounts) == []
    assert accounts.read_text() == before
    assert Event.objects.count() == events


def test_what_an_admin_deleted_stays_deleted(accounts, pg_target):  # noqa: F811
    AccessFlow.objects.filter(name="Orders staging").delete()
    seed(pg_target.target, accounts=accounts)
    assert not AccessFlow.objects.filter(name="Orders staging").exists()


def test_the_integration_follows_a_target_made_anew(accounts, pg_target, start_postgres):  # noqa: F811
    Integration.objects.update(system_identifier="1")
    moved = replace(pg_target.target, host="localhost")
    seed(moved, accounts=accounts)
    integration = Integration.objects.get()
    assert integration.host == "localhost"
    assert integration.system_identifier not in {"", "1"}


def test_nobody_can_sign_in_as_the_set_up(accounts):
    assert not User.objects.get(email=SET_UP_EMAIL).has_usable_password()


def test_a_portal_with_people_of_its_own_is_left_alone(admin_user, tmp_path, pg_target):  # noqa: F811
    assert seed(pg_target.target, accounts=tmp_path / "accounts.json") == []
    assert not Integration.objects.exists()
