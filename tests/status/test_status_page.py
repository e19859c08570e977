"""Status: one verdict, what needs a person on every page, and a constant number of queries."""

import datetime as dt
import tomllib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from django.utils import timezone

import apono_portal
from apono_portal.api.models import ApiToken
from apono_portal.status.problems import current_problems, recent_workers
from apono_portal.status.selectors import worker_rows
from audit.models import ChainState, CheckpointDestination, Delivery, StreamDestination
from requests_app.worker.heartbeat import Heartbeat
from tests.architecture.sources import ROOT
from tests.factories import IntegrationFactory

pytestmark = pytest.mark.django_db


def beat(name: str = "app-1:7", ago: timedelta = timedelta(0)) -> None:
    Heartbeat(name).beat(timezone.now() - ago)


def titles() -> list[str]:
    return [problem.title for problem in current_problems(timezone.now())]


def test_everything_works(admin_client):
    beat()
    assert "Everything works" in admin_client.get("/status/").text
    assert titles() == []


def test_without_a_worker_every_page_says_so(admin_client, auditor_client, member_client):
    for client in (admin_client, auditor_client):
        assert "No worker is running." in client.get("/requests/").text
    assert "No worker is running." not in member_client.get("/requests/").text
    assert admin_client.get("/status/").text.count("No worker is running.") == 1


def test_worker_that_stopped_reporting_is_a_problem_for_an_hour():
    beat()
    beat("app-2:9", ago=timedelta(minutes=6))
    assert titles() == ["app-2:9 is not reporting."]
    beat("app-2:12")
    assert titles() == []
    beat("app-3:1", ago=timedelta(hours=2))
    assert titles() == []


def test_late_deliveries_are_a_problem():
    beat()
    ChainState.objects.create(pk=ChainState.SINGLETON_PK)
    late = Delivery(event_id=1, recipient="a@example.org", subject="s", body="b")
    late.waiting_since = timezone.now() - timedelta(minutes=16)
    late.save()
    assert titles() == ["Notifications are late."]
    Delivery.objects.update(state=Delivery.State.FAILED)
    assert titles() == []


def test_findings_and_checkpoints_that_stay_here_are_problems():
    beat()
    ChainState.objects.create(pk=ChainState.SINGLETON_PK, findings=2)
    failing = CheckpointDestination.objects.create(name="Syslog x", size=1, attempts=3)
    assert titles() == [
        "The audit log was changed.",
        "Audit checkpoints do not leave the portal.",
    ]
    StreamDestination.objects.create(name="SIEM at x", position=1, attempts=1)
    assert titles()[2:] == ["Audit events do not reach the SIEM."]
    StreamDestination.objects.all().delete()
    failing.sent_at = timezone.now()
    failing.save()
    assert titles() == ["The audit log was changed."]


def test_targets_that_are_down_are_problems(admin_client):
    beat()
    ChainState.objects.create(pk=ChainState.SINGLETON_PK)
    IntegrationFactory(name="ledger", health="down")
    IntegrationFactory(name="retired", health="down", is_active=False)
    assert titles() == ["ledger is down."]
    assert "ledger is down." in admin_client.get("/").text
    IntegrationFactory(name="orders", health="down")
    assert titles() == ["ledger and 1 other target are down."]


def test_minutes_without_a_heartbeat_are_gaps():
    heartbeat, now = Heartbeat("app-1:7"), timezone.now().replace(second=30)
    for minutes in (5, 4, 2):
        heartbeat.beat(now - timedelta(minutes=minutes))
    [row] = worker_rows(recent_workers(now), now)
    assert row.minutes[-7:] == ["none", "on", "on", "off", "on", "off", "off"]
    assert not row.is_running


def test_certificates_that_expire_soon_are_marked(admin_client):
    IntegrationFactory(name="billing", ca_certificates=certificate(days=14))
    page = admin_client.get("/status/").text
    assert '<span class="chip chip-amber">13 days</span>' in page


def test_api_tokens_that_expire_soon_are_listed(admin_client, admin_user):
    for name, days in (("ci-deploy", 20), ("nightly", 60)):
        ApiToken.objects.create(
            user=admin_user,
            name=name,
            prefix=name,
            token_hash=name,
            epoch=0,
            expires_at=timezone.now() + timedelta(days=days),
        )
    page = admin_client.get("/status/").text
    assert "API token of Ada Admin" in page
    assert "nightly" not in page


def test_queries_do_not_depend_on_rows(admin_client, questions_of):
    beat()
    before = questions_of(admin_client, "/status/")
    for number in range(5):
        beat(f"more-{number}:1")
        IntegrationFactory(health="down", ca_certificates=certificate(days=90))
        Delivery.objects.create(event_id=number, recipient="a@example.org", subject="s", body="b")
    assert questions_of(admin_client, "/status/") == before <= 20


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == apono_portal.__version__


def certificate(days: int) -> str:
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=days))
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()
