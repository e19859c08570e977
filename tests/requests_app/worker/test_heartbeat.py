"""The portal knows whether a worker runs, and says so."""

import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from apono_portal.observability.metrics import PortalCollector
from audit.verify_export.signed_notes import SigningKey
from requests_app.models import Status, WorkerHeartbeat
from requests_app.worker.heartbeat import Heartbeat
from requests_app.worker.loop import Worker
from tests.factories import AccessRequestFactory

pytestmark = pytest.mark.django_db
BANNER = "No worker is running."


def workers_running(after: timedelta = timedelta(0)) -> int:
    return WorkerHeartbeat.objects.running(timezone.now() + after).count()


def test_worker_that_beats_is_running():
    Heartbeat("w").beat(timezone.now())
    assert workers_running() == 1


def test_worker_that_stopped_beating_is_not():
    Heartbeat("w").beat(timezone.now())
    assert workers_running(timedelta(minutes=1)) == 0


def test_worker_that_stops_is_not_running():
    heartbeat = Heartbeat("w")
    heartbeat.beat(timezone.now())
    heartbeat.stop()
    assert workers_running() == 0


def test_heartbeat_is_written_every_ten_seconds_at_most(django_assert_num_queries):
    heartbeat, now = Heartbeat("w"), timezone.now()
    heartbeat.beat(now)
    with django_assert_num_queries(0):
        heartbeat.beat(now + timedelta(seconds=5))
    heartbeat.beat(now + timedelta(seconds=11))
    assert WorkerHeartbeat.objects.get().seen_at == now + timedelta(seconds=11)


def test_rows_of_dead_workers_are_removed():
    Heartbeat("dead").beat(timezone.now())
    Heartbeat("w").beat(timezone.now() + timedelta(days=2))
    assert WorkerHeartbeat.objects.get().name == "w"


@pytest.mark.django_db(transaction=True)
def test_running_worker_beats_until_it_stops():
    worker = Worker("w", interval_s=0.1)
    thread = threading.Thread(target=worker.run)
    thread.start()
    give_up_at = time.monotonic() + 10
    while not workers_running():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    worker.stop()
    thread.join(10)
    assert workers_running() == 0


def test_admins_see_that_no_worker_runs(admin_client, auditor_client, member_client):
    assert BANNER in admin_client.get("/").text
    assert BANNER in auditor_client.get("/").text
    assert BANNER not in member_client.get("/").text


def test_banner_is_gone_when_a_worker_runs(admin_client):
    Heartbeat("w").beat(timezone.now())
    assert BANNER not in admin_client.get("/").text


def test_requester_sees_that_provisioning_waits(signed_in):
    request = AccessRequestFactory(status=Status.GRANTING)
    page = signed_in(request.requester).get(f"/requests/{request.reference}/").text
    assert "Provisioning is waiting for a worker" in page
    Heartbeat("w").beat(timezone.now())
    page = signed_in(request.requester).get(f"/requests/{request.reference}/").text
    assert "Access is being provisioned" in page


def test_metric_counts_workers():
    Heartbeat("w").beat(timezone.now())
    metrics = {family.name: family for family in PortalCollector(timezone.now()).collect()}
    assert metrics["portal_workers"].samples[0].value == 1


@pytest.mark.django_db(transaction=True)
def test_readyz_tells_whether_a_worker_runs(client):
    assert client.get("/readyz").json() == {"status": "ok", "worker": "none"}
    Heartbeat("w").beat(timezone.now())
    details = {"status": "ok", "worker": "running", "signing_key": "missing"}
    assert client.get("/readyz").json() == details


@pytest.mark.django_db(transaction=True)
def test_readyz_tells_whether_workers_can_sign_checkpoints(client, settings):
    settings.AUDIT_SIGNING_KEY = str(SigningKey("portal.test/audit-log", b"w" * 32))
    Heartbeat("w").beat(timezone.now())
    assert client.get("/readyz").json()["signing_key"] == "present"
    settings.AUDIT_SIGNING_KEY = ""
    Heartbeat("other").beat(timezone.now())
    assert client.get("/readyz").json()["signing_key"] == "missing"
