"""The log reaches SIEMs as OCSF: at least once, in the order of the chain, verifiable by the receiver."""

import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.models import Event, StreamDestination
from audit.services import record
from audit.siem import stream
from audit.siem.ocsf import TYPES, type_of
from audit.siem.stream import stream_events
from audit.verify_export.formats import GENESIS, chain_hash_of, digest_of
from tests.fixtures.posts import Inbox

pytestmark = pytest.mark.django_db


def write_events(count: int) -> None:
    for number in range(count):
        record(event=EventName.SESSION_SIGN_OUT, actor=None, metadata={"number": number})
    write_checkpoints(timezone.now())


def stream_all(minutes: int = 3000) -> None:
    """Stream until nothing is left, however often the SIEM fails."""
    now = timezone.now()
    for _ in range(minutes):
        stream_events(now)
        if StreamDestination.objects.get().position == Event.objects.count():
            return
        now += timedelta(hours=2)
    raise AssertionError("The stream does not get on.")


@pytest.fixture
def file(settings, tmp_path):
    settings.SIEM_FILE = str(tmp_path / "siem.jsonl")
    stream_events(timezone.now())  # a new SIEM starts with the next event
    return tmp_path / "siem.jsonl"


@pytest.fixture
def collector(settings, inbox: Inbox) -> Iterator[Inbox]:
    """A collector that stores what it gets, and loses every tenth of its answers."""
    settings.SIEM_URL = inbox.url
    settings.SIEM_AUTHORIZATION = "Splunk T0K3N"
    inbox.statuses = ([200] * 9 + [503]) * 100
    stream_events(timezone.now())
    return inbox


def events_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def without_repeats(events: list[dict]) -> list[dict]:
    return list({event["metadata"]["uid"]: event for event in events}.values())


def test_nothing_is_missing_when_answers_are_lost(collector, settings, monkeypatch):
    monkeypatch.setattr(stream, "BATCH_SIZE", 3)
    write_events(100)
    stream_all()
    bodies = [events_of(body.decode()) for _, body in collector.posts]
    events = [event for body in bodies for event in body]
    assert len(events) > 100  # what was accepted without an answer came again
    sequence = [event["metadata"]["sequence"] for event in without_repeats(events)]
    assert sequence == list(range(1, 101))
    assert all(headers["authorization"] == "Splunk T0K3N" for headers, _ in collector.posts)


def test_a_receiver_can_compute_the_chain(file):
    write_events(5)
    assert stream_events(timezone.now()) == 5
    previous = GENESIS
    for event in events_of(file.read_text()):
        unmapped, position = event["unmapped"], event["metadata"]["sequence"]
        digest = digest_of(json.loads(unmapped["record"]))
        previous = chain_hash_of(previous, position, digest)
        assert (digest, previous) == (unmapped["digest"], unmapped["chain_hash"])


def test_nothing_is_sent_twice_without_need(file):
    write_events(3)
    assert [stream_events(timezone.now()) for _ in range(2)] == [3, 0]
    write_events(2)
    assert stream_events(timezone.now()) == 2
    assert len(events_of(file.read_text())) == 5


def test_a_new_siem_starts_with_the_next_event(settings, tmp_path):
    write_events(3)
    settings.SIEM_FILE = str(tmp_path / "siem.jsonl")
    assert stream_events(timezone.now()) == 0
    write_events(1)
    assert stream_events(timezone.now()) == 1


def test_a_failure_is_kept_and_waits(settings, tmp_path):
    settings.SIEM_FILE = str(tmp_path / "missing" / "siem.jsonl")
    now = timezone.now()
    stream_events(now)
    write_events(1)
    assert [stream_events(now), stream_events(now)] == [0, 0]
    row = StreamDestination.objects.get()
    assert (row.attempts, row.last_error) == (
        1,
        "The file cannot be written: No such file or directory.",
    )
    (tmp_path / "missing").mkdir()
    assert stream_events(now + timedelta(hours=2)) == 1


def test_splunk_gets_its_envelope(collector, settings):
    settings.SIEM_FORMAT = "splunk"
    write_events(2)
    stream_all()
    first, _ = events_of(collector.posts[0][1].decode())
    assert first["event"]["time"] == round(first["time"] * 1000)


def test_syslog_gets_one_message_for_each_event(settings):
    received = []

    def read(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while part := connection.recv(65536):
                received.append(part)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.SIEM_SYSLOG = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        stream_events(timezone.now())
        write_events(3)
        reader = threading.Thread(target=read, args=[listener])
        reader.start()
        assert stream_events(timezone.now()) == 3
        reader.join(5)
    assert b"".join(received).count(b"<109>1 ") == 3


def test_every_event_has_a_type_and_every_field_one_type(file, admin_user):
    for name in EventName:
        record(event=name, actor=admin_user, target=admin_user, metadata={"requests": ["AR-1"]})
        record(event=name, actor=None, metadata={"requests": 1})
    write_checkpoints(timezone.now())
    stream_all()
    types: dict[str, type] = {}
    for event in events_of(file.read_text()):
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert ("entity" in event) != ("user" in event)
        for field, value in leaves(event):
            assert types.setdefault(field, type(value)) is type(value), field


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}")
    else:
        yield path, value


def test_the_table_has_what_matters_most():
    assert type_of("grant:activate") == (3005, 1)
    assert type_of("grant:contain") == (3005, 2)
    assert type_of("mfa:verify") == (3002, 99)
    assert type_of("future:event") == (3004, 99)
    assert {kind.class_uid for kind in TYPES.values()} <= {3001, 3002, 3004, 3005, 3006}
