"""A worker that is killed in the middle loses nothing: at least once, to real servers."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from apono_portal.notifications.worker_tasks import fan_out, post_due
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
from apono_portal.notifications import chores, fan_out
from audit.outbox.deliveries import deliver_due
settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
settings.EMAIL_BACKEND, settings.EMAIL_HOST = sys.argv[2], "127.0.0.1"
settings.EMAIL_PORT = int(sys.argv[3])
if sys.argv[1] == "fan_out":
    tell = fan_out._tell
    def dying(event_ids):
        assert tell(event_ids) > 0
        os.kill(os.getpid(), signal.SIGKILL)
    fan_out._tell = dying
    fan_out.fan_out(timezone.now())
sys.stdin.readline()
deliver_due(timezone.now()) if sys.argv[1] == "mail" else chores.post_due(timezone.now())
"""


def process(what: str, port: int = 1) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, what, SMTP, str(port)],
        env=environment(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        text=True,
    )


def killed_by(dying, server) -> None:
    server.kills = dying.pid
    dying.communicate("go\n", timeout=60)
    server.kills = None
    assert dying.returncode == -9


def after_the_lease(do) -> int:
    with time_machine.travel(timezone.now() + LEASE + timedelta(seconds=5)):
        return do(timezone.now())


def test_killed_while_the_mail_server_has_the_mail(desk, mail_server):
    desk.ask()
    write_checkpoints(timezone.now())
    fan_out(timezone.now())
    killed_by(process("mail", mail_server.port), mail_server)
    assert after_the_lease(deliver_due) >= 1
    assert set(Delivery.objects.values_list("state", flat=True)) == {Delivery.State.SENT}
    first = mail_server.parsed[0]
    again = [each for each in mail_server.parsed[1:] if each["Message-ID"] == first["Message-ID"]]
    assert len(again) == 1
    assert {each["To"] for each in mail_server.parsed} == {each.email for each in desk.approvers}


def test_killed_while_the_webhook_has_the_post(desk, inbox):
    WebhookFactory(url=inbox.url)
    desk.ask()
    write_checkpoints(timezone.now())
    fan_out(timezone.now())
    killed_by(process("webhook"), inbox)
    assert after_the_lease(post_due) == 1
    first, second = (headers["webhook-id"] for headers, _ in inbox.posts)
    assert first == second


def test_killed_between_deliveries_and_mark(desk):
    desk.ask()
    write_checkpoints(timezone.now())
    dying = process("fan_out")
    dying.wait(60)
    assert dying.stdin is not None
    dying.stdin.close()
    assert dying.returncode == -9
    assert Delivery.objects.count() == 0
    assert fan_out(timezone.now()) == len(desk.approvers)
    assert fan_out(timezone.now()) == 0
    assert Delivery.objects.count() == len(desk.approvers)
    assert os.getpid() != dying.pid
