"""The webhook connector against the example receiver, and against servers that misbehave."""

import base64
import hashlib
import hmac
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_network

import pytest
from pytest_django import Settings

from accessflows.connectors.errors import (
    ConnectorError,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.protocol import GrantSpec, Target
from accessflows.connectors.registry import connector_for
from accessflows.connectors.webhook import client as webhook_client
from accessflows.connectors.webhook.settings import WebhookSettings
from accessflows.connectors.webhook.signing import key_of, signature_of
from apono_portal.core.web import http_client
from tests.fixtures.webhook import Receiver, new_secret, receiver  # noqa: F401

webhook = connector_for("webhook")


def spec_of(**changes: object) -> GrantSpec:
    deadline = datetime.now(UTC) + timedelta(minutes=5)
    spec = GrantSpec(uuid.uuid4(), "portal", "orders", "reader", deadline)
    return replace(spec, **changes)  # type: ignore[arg-type]


Answering = Callable[..., Target]


@pytest.fixture
def answering(settings: Settings) -> Iterator[Answering]:
    """`answering(status, body)`: the address of a server that always answers so."""
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
    servers = []

    def answer_with(status: int, body: bytes = b"{}", **headers: str) -> Target:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                return

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        port = server.server_address[1]
        return Target(
            "127.0.0.1", port, "", new_secret(), WebhookSettings(f"http://127.0.0.1:{port}/")
        )

    yield answer_with
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_signature_is_that_of_the_specification() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    key, body = key_of(secret), b'{"test": 2432232314}'
    expected = hmac.new(base64.b64decode(secret[6:]), b"msg_1.1614265330." + body, hashlib.sha256)
    signed = signature_of(key, "msg_1", 1614265330, body)
    assert signed == "v1," + base64.b64encode(expected.digest()).decode()
    assert signature_of(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "password"])
def test_an_invalid_secret_is_refused(secret: str) -> None:
    with pytest.raises(TargetRefused, match="whsec_"):
        key_of(secret)


def test_whole_lifecycle(receiver: Receiver) -> None:  # noqa: F811
    spec, target = spec_of(), receiver.target
    identity = webhook.activate(target, spec).identity
    assert webhook.locate(target, spec) == identity
    old = webhook.issue_credential(target, spec, identity)
    new = webhook.reset_credential(target, spec, identity, terminate_sessions=True)
    assert [receiver.opens_for(one) for one in (old, new)] == [False, True]
    [role] = webhook.list_managed_accounts(target, "portal", [identity]).accounts
    assert (role.identity, role.can_login) == (identity, True)
    assert not webhook.prove(target, identity).holds
    webhook.contain(target, identity)
    assert not receiver.opens_for(new)
    with pytest.raises(TargetRefused, match="has ended"):
        webhook.issue_credential(target, spec, identity)
    webhook.clean(target, identity)
    assert webhook.prove(target, identity).holds


def test_an_activation_replayed_after_the_end_revives_nothing(receiver: Receiver) -> None:  # noqa: F811
    spec = spec_of()
    identity = webhook.activate(receiver.target, spec).identity
    webhook.contain(receiver.target, identity)
    webhook.clean(receiver.target, identity)
    with pytest.raises(TargetRefused, match="has ended"):
        webhook.activate(receiver.target, spec)


def test_the_very_same_call_is_accepted_once(receiver: Receiver) -> None:  # noqa: F811
    call = {
        "message_id": "msg_1",
        "key": key_of(receiver.secret),
        "timestamp": int(time.time()),
    }
    body = b'{"type": "ping", "data": {}}'
    webhook_client.post(receiver.target, body, **call)  # type: ignore[arg-type]
    with pytest.raises(TargetUnavailable, match="already received"):
        webhook_client.post(receiver.target, body, **call)  # type: ignore[arg-type]


def test_another_secret_is_refused(receiver: Receiver) -> None:  # noqa: F811
    with pytest.raises(TargetRefused, match="signature is wrong"):
        webhook.discover(replace(receiver.target, password=new_secret()))


def test_preflight_passes_for_a_receiver_that_verifies(receiver: Receiver) -> None:  # noqa: F811
    assert [check.ok for check in webhook.preflight(receiver.target)] == [True, True, True]


def test_preflight_fails_for_a_receiver_that_accepts_everything(answering: Answering) -> None:
    checks = webhook.preflight(answering(200))
    assert [check.ok for check in checks] == [True, False, False]


def test_a_canary_passes_and_leaves_nothing(receiver: Receiver) -> None:  # noqa: F811
    checks = list(webhook.canary(receiver.target, "orders", "reader", portal_id="portal"))
    assert [check.ok for check in checks] == [True] * 6, checks
    assert webhook.list_managed_accounts(receiver.target, "portal", []).accounts == ()


def test_another_receiver_at_the_address_is_reported(receiver: Receiver) -> None:  # noqa: F811
    identity = webhook.activate(receiver.target, spec_of()).identity
    with pytest.raises(TargetRefused, match="another receiver"):
        webhook.contain(receiver.target, replace(identity, server_id="other"))


def test_an_answer_of_another_receiver_is_rejected(answering: Answering) -> None:
    target = answering(200, b'{"receiver": "other", "found": false}')
    with pytest.raises(TargetMismatch, match="different receiver"):
        webhook.locate(target, spec_of(server_id="mine"))


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408, 409])
def test_temporary_failures_are_retried(answering: Answering, status: int) -> None:
    with pytest.raises(TargetUnavailable, match=str(status)):
        webhook.discover(answering(status))


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 422])
def test_a_refusal_is_final_and_no_redirect_is_followed(answering: Answering, status: int) -> None:
    with pytest.raises(TargetRefused, match=str(status)):
        webhook.discover(answering(status, Location="http://127.0.0.1:1/"))


def test_a_receivers_sentence_is_one_clean_line_without_the_secret(answering: Answering) -> None:
    target = answering(422, b'{"error": "No\\n\\u0000\\u202e' + b"x" * 500 + b'"}')
    with pytest.raises(TargetRefused) as refused:
        webhook.discover(target)
    assert refused.value.sentence.isprintable()
    assert len(refused.value.sentence) < 250


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"not json",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"receiver": 7}',
        b'{"receiver": "' + b"x" * 33 + b'"}',
        b'{"receiver": "r", "resources": "orders"}',
        b'{"receiver": "r", "resources": ["' + b"x" * 64 + b'"]}',
        b'{"receiver": "r", "permissions": [{"name": "a\\u0000b", "resources": []}]}',
        b'{"receiver": "r", "version": -1}',
        b'{"x": "' + b"y" * webhook_client.MAX_BYTES + b'"}',
    ],
)
def test_a_hostile_answer_is_refused_with_a_sentence(answering: Answering, body: bytes) -> None:
    with pytest.raises(TargetRefused, match="receiver"):
        webhook.discover(answering(200, body))


def test_a_grant_that_would_outlive_its_deadline_is_refused(answering: Answering) -> None:
    now = datetime.now(UTC).isoformat()
    body = (
        f'{{"receiver": "r", "server_time": "{now}", "valid_until": "2999-01-01T00:00:00+00:00"}}'
    )
    with pytest.raises(TargetRefused, match="past its expiry"):
        webhook.activate(answering(200, body.encode()), spec_of())


def test_unreachable_receiver_is_retried(receiver: Receiver) -> None:  # noqa: F811
    receiver.stop()
    with pytest.raises(TargetUnavailable, match="did not respond"):
        webhook.discover(receiver.target)


def test_a_receiver_that_hangs_times_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
    monkeypatch.setattr(http_client, "TOTAL_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"http://127.0.0.1:{port}/"
        began = time.monotonic()
        with pytest.raises(TargetUnavailable):
            webhook.discover(Target("127.0.0.1", port, "", new_secret(), WebhookSettings(url)))
    assert time.monotonic() - began < 5


def test_a_receiver_in_a_network_that_is_not_listed_is_refused(
    receiver: Receiver,  # noqa: F811
    settings: Settings,
) -> None:
    settings.WEBHOOK_NETWORKS = []
    with pytest.raises(TargetRefused, match="WEBHOOK_NETWORKS"):
        webhook.discover(receiver.target)


def test_many_are_contained_and_one_failure_stops_no_other(receiver: Receiver) -> None:  # noqa: F811
    identities = [webhook.activate(receiver.target, spec_of()).identity for _ in range(3)]
    identities[1] = replace(identities[1], server_id="other")
    answers = webhook.contain_many(receiver.target, identities)
    failed = [isinstance(answers[one], ConnectorError) for one in identities]
    assert failed == [False, True, False]
