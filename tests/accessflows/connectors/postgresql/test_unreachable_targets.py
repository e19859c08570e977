"""A target that is down, silent, stopped or false: a sentence in bounded time, no secret."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from accessflows.connectors.errors import ConnectorError, TargetRefused, TargetUnavailable
from accessflows.connectors.postgresql.settings import PostgreSQLSettings
from accessflows.connectors.protocol import GrantIdentity, Target, login_of
from accessflows.connectors.registry import connector_for
from tests.accessflows.connectors.conftest import Grant
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")

SECRET = "a-very-secret-broker-password"


def every_call(pg: PgTarget, target: Target) -> dict[str, Callable[[], object]]:
    spec = pg.spec()
    identity = GrantIdentity(login_of(spec.grant_id), "424242", "1")
    return {
        "discover": lambda: postgresql.discover(target),
        "describe_rights": lambda: postgresql.describe_rights(target, "orders", ["orders_read"]),
        "check_permission": lambda: postgresql.check_permission(target, "orders_read"),
        "activate": lambda: postgresql.activate(target, spec),
        "locate": lambda: postgresql.locate(target, spec),
        "issue_credential": lambda: postgresql.issue_credential(target, spec, identity),
        "reset_credential": lambda: postgresql.reset_credential(
            target, spec, identity, terminate_sessions=True
        ),
        "contain": lambda: postgresql.contain(target, identity),
        "contain_many": lambda: postgresql.contain_many(target, [identity]),
        "terminate_sessions_at": lambda: postgresql.terminate_sessions_at(
            target, [identity], datetime.now(UTC)
        ),
        "list_managed_accounts": lambda: postgresql.list_managed_accounts(
            target, "test-portal", [identity]
        ),
        "find_owned_objects": lambda: postgresql.find_owned_objects(target, identity),
        "clean": lambda: postgresql.clean(target, identity),
        "prove": lambda: postgresql.prove(target, identity),
    }


def outcome(call: Callable[[], object]) -> ConnectorError:
    with pytest.raises(ConnectorError) as error:
        call()
    text = "".join(
        f"{one!r} {one}"
        for one in (error.value, error.value.__cause__, error.value.__context__)
        if one is not None and (one is error.value or not error.value.__suppress_context__)
    )
    assert SECRET not in text
    assert error.value.sentence.endswith(".")
    return error.value


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def at(pg: PgTarget, server: socket.socket, **changes: object) -> Target:
    return replace(
        pg.target, port=server.getsockname()[1], password=SECRET, connect_timeout_s=2, **changes
    )


def test_every_call_on_a_target_that_is_down_is_a_sentence(pg_target: PgTarget) -> None:
    target = pg_target.with_target(port=1, password=SECRET)
    for name, call in every_call(pg_target, target).items():
        assert isinstance(outcome(call), TargetUnavailable), name


def test_target_that_accepts_and_never_answers_times_out(
    pg_target: PgTarget, listener: socket.socket
) -> None:
    begun = time.monotonic()
    error = outcome(every_call(pg_target, at(pg_target, listener))["activate"])
    assert isinstance(error, TargetUnavailable)
    assert "did not respond within 2 s" in error.sentence
    assert time.monotonic() - begun < 4


def test_target_that_stops_in_the_middle_times_out(
    pg_target: PgTarget, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server process is stopped after the connection is open: no timeout of its own can help."""
    from accessflows.connectors.postgresql import containment
    from accessflows.connectors.postgresql.connection import BrokerConnection

    stopped: list[int] = []

    def stop_server(connection: BrokerConnection, identities: object) -> None:
        stopped.append(connection.raw.info.backend_pid)
        os.kill(stopped[0], signal.SIGSTOP)
        return real(connection, identities)

    real = containment.find_roles
    monkeypatch.setattr(containment, "find_roles", stop_server)
    monkeypatch.setattr(containment, "_BUDGET_S", 1.0)
    try:
        error = outcome(grant.contain)
    finally:
        os.kill(stopped[0], signal.SIGCONT)
    assert isinstance(error, TargetUnavailable)
    assert "the connection was closed after 1 s" in error.sentence
    monkeypatch.undo()
    grant.end()
    assert grant.proof_holds()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"R\x00\x00\x00\x08\x00\x00\x00\x03",  # asks for the password in plain
        b"R\x00\x00\x00\x0c\x00\x00\x00\x05salt",  # asks for MD5
        b"R\x00\x00\x00\x08\x00\x00\x00\x00",  # lets anybody in
        b"E\x00\x00\x00\x20SFATAL\x00C28P01\x00Mpassword\x00\x00\x00\x00\x00\x00",
        b"\xff" * 4096,
    ],
)
def test_false_server_gets_no_password_and_gives_a_sentence(
    pg_target: PgTarget, listener: socket.socket, answer: bytes
) -> None:
    heard: list[bytes] = []

    def serve() -> None:
        line, _ = listener.accept()
        with line:
            line.settimeout(3)
            heard.append(line.recv(4096))
            line.sendall(answer)
            try:
                heard.append(line.recv(4096))
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    outcome(every_call(pg_target, at(pg_target, listener, sslmode="disable"))["activate"])
    thread.join(5)
    assert SECRET.encode() not in b"".join(heard)


def test_rotated_broker_password_is_a_refusal(pg_target: PgTarget) -> None:
    for name, call in every_call(pg_target, pg_target.with_target(password=SECRET)).items():
        error = outcome(call)
        assert isinstance(error, TargetRefused), name
        assert "Enter the current password" in error.sentence


def test_target_without_tls_is_refused_when_tls_is_required(pg_target: PgTarget) -> None:
    for mode in ("require", "verify-ca", "verify-full"):
        target = pg_target.with_target(sslmode=mode, ca_certificates="", password=SECRET)
        error = outcome(every_call(pg_target, target)["activate"])
        assert isinstance(error, TargetRefused), mode
        assert "TLS" in error.sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "a,b"},
        {"host": "x\x00y"},
        {"host": "no such host"},
        {"host": ""},
        {"host": "a" * 5000},
        {"port": 70000},
        {"port": -1},
        {"user": ""},
        {"user": "x" * 64},
        {"settings": PostgreSQLSettings("no_such_database")},
        {"settings": PostgreSQLSettings("host=192.0.2.1")},
        {"sslmode": "nonsense"},
        {"sslmode": "verify-full", "ca_certificates": "not a certificate"},
        {"password": ""},
        {"password": "\x00"},
        {"password": "\ud800"},
    ],
)
def test_unusable_address_is_a_sentence(pg_target: PgTarget, changes: dict[str, object]) -> None:
    outcome(every_call(pg_target, pg_target.with_target(**changes))["discover"])


def test_environment_of_the_portal_does_not_change_how_the_broker_signs_in(
    pg_target: PgTarget,
) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PGUSER", "somebody")
        environment.setenv("PGPASSWORD", "from-the-environment")
        environment.setenv("PGPASSFILE", "/no/such/file")
        environment.setenv("PGOPTIONS", "-c search_path=evil")
        environment.setenv("PGSSLMODE", "verify-full")
        assert postgresql.discover(pg_target.target).resources


def test_missing_password_is_not_taken_from_a_password_file(
    pg_target: PgTarget, tmp_path: Path
) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text(f"*:*:*:*:{pg_target.target.password}")
    passwords.chmod(0o600)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PGPASSFILE", str(passwords))
        environment.setenv("PGPASSWORD", pg_target.target.password)
        with pytest.raises(TargetRefused):
            postgresql.discover(pg_target.with_target(password=""))


def test_server_that_was_down_at_the_end_is_contained_when_it_is_back(
    pg_version: int, start_postgres: Callable[..., object]
) -> None:
    from apono_portal.demo.target import provision_target

    server = start_postgres(pg_version)
    pg = PgTarget(server, provision_target(server, "broker"), pg_version)
    spec = pg.spec()
    identity = postgresql.activate(pg.target, spec).identity
    credential = postgresql.issue_credential(pg.target, spec, identity)
    server.stop()
    assert isinstance(outcome(lambda: postgresql.contain(pg.target, identity)), TargetUnavailable)
    server.start()
    session = pg.log_in(credential)
    assert postgresql.contain(pg.target, identity).sessions_terminated == 1
    postgresql.clean(pg.target, identity)
    assert postgresql.prove(pg.target, identity).holds
    session.close()
    server.stop()
