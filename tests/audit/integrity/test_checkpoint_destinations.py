"""Signed checkpoints leave the machine: at least once, in order, with failures that admins see."""

import json
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from audit.integrity.checkpoint_destinations import append_to_file, destinations, send_checkpoints
from audit.models import CheckpointDestination, SignedCheckpoint
from audit.outbox.cursors import claim
from audit.outbox.deliveries import LEASE, DeliveryFailed
from audit.verify_export.signed_notes import SigningKey, checkpoint_text, read_checkpoints
from tests.fixtures.posts import Inbox

pytestmark = pytest.mark.django_db
KEY = SigningKey("portal.test/audit-log", b"w" * 32)


def signed(size: int) -> str:
    note = KEY.sign(checkpoint_text(KEY.name, size, "ab" * 32))
    SignedCheckpoint.objects.create(size=size, created_at=timezone.now(), note=note)
    return note


@pytest.fixture
def file(settings, tmp_path):
    settings.AUDIT_CHECKPOINT_FILE = str(tmp_path / "checkpoints.txt")
    return tmp_path / "checkpoints.txt"


def test_each_is_appended_to_the_file_once(file):
    notes = [signed(4)]
    assert send_checkpoints(timezone.now()) == 1
    assert send_checkpoints(timezone.now()) == 0
    notes += [signed(8), signed(9)]
    assert send_checkpoints(timezone.now()) == 2
    assert [item.note for item in read_checkpoints(file.read_text())] == notes
    row = CheckpointDestination.objects.get()
    assert (row.position, row.last_error) == (9, "")
    assert socket.gethostname() in row.name


def test_a_destination_that_is_new_starts_with_the_last(file):
    signed(4)
    signed(8)
    assert send_checkpoints(timezone.now()) == 1


def test_a_failure_is_shown_and_retried_later(file, tmp_path):
    file.mkdir()
    signed(4)
    now = timezone.now()
    assert send_checkpoints(now) == 0
    row = CheckpointDestination.objects.get()
    assert (row.attempts, row.sent_at, row.last_error) == (
        1,
        None,
        "The file cannot be written: Is a directory.",
    )
    file.rmdir()
    assert send_checkpoints(now + timedelta(seconds=29)) == 0
    assert send_checkpoints(now + timedelta(seconds=31)) == 1
    row.refresh_from_db()
    assert (row.attempts, row.last_error, row.position) == (0, "", 4)


def test_a_full_disk_takes_no_part_of_a_checkpoint(file):
    first, second = signed(4), signed(8)
    append_to_file(SignedCheckpoint.objects.get(size=4))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(first.encode()) + 20, unlimited[1]))
    try:
        with pytest.raises(DeliveryFailed, match="No space left"):
            append_to_file(SignedCheckpoint.objects.get(size=8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    append_to_file(SignedCheckpoint.objects.get(size=8))
    assert [item.note for item in read_checkpoints(file.read_text())] == [first, second]


def test_a_worker_that_dies_while_it_sends_is_taken_over(file):
    signed(4)
    now = timezone.now()
    name = destinations()[0].name
    assert claim(CheckpointDestination, name, start=3, end=4, now=now)
    assert send_checkpoints(now) == 0
    assert send_checkpoints(now + LEASE + timedelta(seconds=5)) == 1


def test_a_clock_that_went_back_does_not_hold_it_up(file):
    signed(4)
    send_checkpoints(timezone.now())
    signed(8)
    assert send_checkpoints(timezone.now() - timedelta(days=2)) == 1


def test_it_is_posted_to_the_webhook(settings, inbox: Inbox):
    settings.AUDIT_CHECKPOINT_WEBHOOK = inbox.url
    note = signed(4)
    inbox.statuses = [503, 204]
    now = timezone.now()
    assert send_checkpoints(now) == 0
    assert CheckpointDestination.objects.get().last_error == "The webhook answered 503."
    assert send_checkpoints(now + timedelta(minutes=1)) == 1
    assert [body.decode() for _, body in inbox.posts] == [note, note]
    assert "T0P-S3CRET" not in CheckpointDestination.objects.get().name


def test_a_webhook_into_a_private_network_is_refused(settings, inbox: Inbox):
    settings.AUDIT_CHECKPOINT_WEBHOOK = inbox.url
    settings.WEBHOOK_NETWORKS = []
    signed(4)
    assert send_checkpoints(timezone.now()) == 0
    assert "not public" in CheckpointDestination.objects.get().last_error
    assert inbox.posts == []


def test_a_destination_that_fails_does_not_hold_up_others(settings, file, inbox: Inbox):
    settings.AUDIT_CHECKPOINT_WEBHOOK = inbox.url
    inbox.statuses = [500]
    signed(4)
    assert send_checkpoints(timezone.now()) == 1
    assert len(destinations()) == CheckpointDestination.objects.count() == 2
    assert file.exists()


class SyslogServer:
    """Reads one message over TCP or TLS, framed by its length (RFC 6587, RFC 5425)."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.context = context
        self.message = ""
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        channel, _ = self.listener.accept()
        if self.context:
            channel = self.context.wrap_socket(channel, server_side=True)
        with channel, channel.makefile("rb") as lines:
            length = b""
            while not length.endswith(b" "):
                length += lines.read(1)
            self.message = lines.read(int(length)).decode()

    def close(self) -> None:
        self.thread.join(10)
        self.listener.close()


@pytest.fixture
def syslog_server() -> Iterator[SyslogServer]:
    server = SyslogServer()
    yield server
    server.close()


def content_of(message: str) -> str:
    """Return the note in an RFC 5424 message."""
    header, _, text = message.partition(" \ufeff")
    assert header.startswith("<109>1 20")
    assert header.split(" ")[3] == "apono-portal"
    assert header.endswith(" checkpoint -")
    return str(json.loads(text))


def test_it_is_sent_to_a_syslog_server_over_tcp(settings, syslog_server):
    settings.AUDIT_CHECKPOINT_SYSLOG = f"tcp://127.0.0.1:{syslog_server.port}"
    note = signed(4)
    assert send_checkpoints(timezone.now()) == 1
    syslog_server.close()
    assert content_of(syslog_server.message) == note
    assert [item.size for item in read_checkpoints(syslog_server.message)] == [4]


def test_it_is_sent_to_a_syslog_server_over_udp(settings):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        settings.AUDIT_CHECKPOINT_SYSLOG = f"udp://127.0.0.1:{server.getsockname()[1]}"
        note = signed(4)
        assert send_checkpoints(timezone.now()) == 1
        assert content_of(server.recv(4096).decode()) == note


@pytest.mark.parametrize("server", ["tcp://127.0.0.1:9", "tls://127.0.0.1:9", "file:///x", "x"])
def test_a_syslog_server_that_does_not_take_it_is_shown(settings, server):
    settings.AUDIT_CHECKPOINT_SYSLOG = server
    signed(4)
    assert send_checkpoints(timezone.now()) == 0
    assert CheckpointDestination.objects.get().last_error
