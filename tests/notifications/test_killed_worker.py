"""A worker that is killed midway loses nothing: delivery is at least once."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from apono_portal.notifications.fan_out import fan_out
from apono_portal.notifications.webhook_delivery import deliver_webhooks
from audit.integrity.checkpoints import write_checkpoints
from audit.models import Delivery
from audit.outbox.deliveries import LEASE, deliver_due
from tests.factories import WebhookFactory
from tests.fixtures.mail import SMTP
from tests.requests_app.worker.test_killed_worker import ROOT, environment

pytestmark = pytest.mark.django_db(transaction=True)
SCRIPT = """
import django, os, signal, sys
django.setup()
from django.utils import timezone
from django.conf import settings
from ipaddress import ip_network
from apono_portal.notifications import fan_out
from apono_portal.notifications.webhook_delivery import deliver_webhooks
from audit.outbox.deliveries import deliver_due
settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
settings.EMAIL_BACKEND, settings.EMAIL_HOST = sys.argv[2], "127.0.0.1"
settings.EMAIL_PORT = int(sys.argv[3])
if sys.argv[1] == "fan_out":
    write = fan_out._write
    def write_and_die(audiences):
        assert write(audiences) > 0
        os.kill(os.getpid(), signal.SIGKILL)
    fan_out._write = write_and_die
    fan_out.fan_out(timezone.now())
sys.stdin.readline()
deliver_due(timezone.now()) if sys.argv[1] == "email" else deliver_webhooks(timezone.now())
"""


def start_worker(task: str, port: int = 1) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, task, SMTP, str(port)],
        env=environment(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        text=True,
    )


def kill_during_delivery(worker, server) -> None:
    server.kills = worker.pid
    worker.communicate("go\n", timeout=60)
    server.kills = None
    assert worker.returncode == -9


def after_the_lease(deliver) -> int:
    with time_machine.travel(timezone.now() + LEASE + timedelta(seconds=5)):
        return deliver(timezone.now())


def test_email_is_sent_again_if_the_worker_dies_while_sending(desk, mail_server):
    desk.submit()
    write_checkpoints(timezone.now())
    fan_out(timezone.now())
    kill_during_delivery(start_worker("email", mail_server.port), mail_server)
    assert after_the_lease(deliver_due) >= 1
    assert set(Delivery.objects.values_list("state", flat=True)) == {Delivery.State.SENT}
    first = mail_server.parsed[0]
    again = [
        email for email in mail_server.parsed[1:] if email["Message-ID"] == first["Message-ID"]
    ]
    assert len(again) == 1
    assert {email["To"] for email in mail_server.parsed} == {user.email for user in desk.approvers}


def test_webhook_is_sent_again_if_the_worker_dies_while_sending(desk, inbox):
    WebhookFactory(url=inbox.url)
    desk.submit()
    write_checkpoints(timezone.now())
    fan_out(timezone.now())
    kill_during_delivery(start_worker("webhook"), inbox)
    assert after_the_lease(deliver_webhooks) == 1
    first, second = (headers["webhook-id"] for headers, _ in inbox.posts)
    assert first == second


def test_fan_out_starts_over_if_the_worker_dies_before_the_commit(desk):
    desk.submit()
    write_checkpoints(timezone.now())
    worker = start_worker("fan_out")
    worker.wait(60)
    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.returncode == -9
    assert Delivery.objects.count() == 0
    assert fan_out(timezone.now()) == len(desk.approvers)
    assert fan_out(timezone.now()) == 0
    assert Delivery.objects.count() == len(desk.approvers)
    assert os.getpid() != worker.pid
