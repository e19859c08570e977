"""What is special about Valkey: copied rules, the ACL file, slots that grantees can fill."""

from contextlib import suppress

import pytest
import valkey

from accessflows.connectors import idle_pool
from accessflows.connectors.errors import TargetMismatch, TargetRefused
from accessflows.connectors.protocol import Credential, GrantIdentity, GrantSpec
from accessflows.connectors.registry import connector_for
from tests.fixtures.valkey import (
    BROKER,
    PASSWORD,
    ValkeyServer,
    ValkeySubject,
)

connector = connector_for("valkey")


@pytest.fixture
def subject(valkey_subject: ValkeySubject) -> ValkeySubject:
    return valkey_subject


@pytest.fixture
def server(valkey_server: ValkeyServer) -> ValkeyServer:
    return valkey_server


@pytest.fixture
def spec(subject: ValkeySubject) -> GrantSpec:
    return subject.spec()


@pytest.fixture
def identity(subject: ValkeySubject, spec: GrantSpec) -> GrantIdentity:
    return connector.activate(subject.target, spec).identity


@pytest.fixture
def credential(subject: ValkeySubject, spec: GrantSpec, identity: GrantIdentity) -> Credential:
    return connector.issue_credential(subject.target, spec, identity)


def as_grantee(credential: Credential) -> "valkey.Valkey":
    return valkey.Valkey(
        port=credential.port, username=credential.user, password=credential.password, retry=None
    )


def test_a_grant_has_the_rules_of_its_permission_and_no_others(credential: Credential) -> None:
    with as_grantee(credential) as client:
        assert client.get("app:1") == b"one"
        for words in (
            ("GET", "other:1"),
            ("GET", "apono-portal/anything"),
            ("SET", "app:1", "two"),
            ("ACL", "WHOAMI"),
            ("KEYS", "*"),
        ):
            with pytest.raises(valkey.exceptions.NoPermissionError):
                client.execute_command(*words)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ("~* +@all", "changes accounts"),
        ("~* +@read +eval", "runs scripts"),
        ("~* +@read +client|pause", "disconnects"),
        ("~* +@read +monitor", "sees what others run"),
        ("~* +@read (~x +config|set)", "configuration"),
    ],
)
def test_rules_with_which_a_grantee_could_stay_are_refused(
    subject: ValkeySubject, server: ValkeyServer, rules: str, reason: str
) -> None:
    words, _, selector = rules.partition(" (")
    selectors = [f"({selector}"] if selector else []
    server.ask("ACL", "SETUSER", "risky", "reset", *words.split(), *selectors)
    try:
        with pytest.raises(TargetRefused, match=reason):
            connector.activate(subject.target, subject.spec(permission="risky"))
        [found] = [
            one for one in connector.discover(subject.target).permissions if one.name == "risky"
        ]
        assert reason in found.refusal
    finally:
        server.ask("ACL", "DELUSER", "risky")


def test_an_account_that_people_use_is_no_permission(subject: ValkeySubject) -> None:
    for name in (BROKER, "root", "default", "apono_server"):
        with pytest.raises(TargetRefused):
            connector.activate(subject.target, subject.spec(permission=name))


def test_a_restart_revives_nothing(
    server: ValkeyServer,
    subject: ValkeySubject,
    spec: GrantSpec,
    identity: GrantIdentity,
    credential: Credential,
) -> None:
    stays = subject.spec()
    staying = connector.activate(subject.target, stays).identity
    kept = connector.issue_credential(subject.target, stays, staying)
    connector.contain(subject.target, identity)
    server.stop()
    server.start()
    server.ask("SET", "app:1", "one")
    assert subject.can_sign_in(kept)
    assert not subject.can_sign_in(credential)
    connector.clean(subject.target, identity)
    server.stop()
    server.start()
    server.ask("SET", "app:1", "one")
    assert connector.prove(subject.target, identity).holds


def test_a_file_that_cannot_be_written_keeps_no_session_open(
    server: ValkeyServer, subject: ValkeySubject, identity: GrantIdentity, credential: Credential
) -> None:
    session = subject.open_session(credential)
    aside = server.home / "aside.acl"
    server.acl_file.rename(aside)
    server.acl_file.mkdir()
    try:
        with pytest.raises(TargetRefused):
            connector.contain(subject.target, identity)
        assert not session.works()
        assert not subject.can_sign_in(credential)
    finally:
        server.acl_file.rmdir()
        aside.rename(server.acl_file)
    connector.contain(subject.target, identity)


def test_a_grantee_that_fills_every_slot_is_still_contained(
    server: ValkeyServer, subject: ValkeySubject, identity: GrantIdentity, credential: Credential
) -> None:
    pool = idle_pool.connections
    pool.is_enabled = True
    opened: list[valkey.Connection] = []
    try:
        connector.keep_connections(subject.target, [])
        with suppress(valkey.ConnectionError):
            for _ in range(250):
                connection = valkey.Connection(
                    port=credential.port, username=credential.user, password=credential.password
                )
                opened.append(connection)
                connection.connect()
        assert len(opened) < 250
        with pytest.raises(valkey.ConnectionError):
            server.ask("PING")
        containment = connector.contain(subject.target, identity)
        assert containment.sessions_terminated >= 150
        assert server.ask("PING")
    finally:
        for connection in opened:
            connection.disconnect()
        pool.close_idle(early=True)
        pool.is_enabled = False


def test_an_account_without_its_marker_is_disabled_and_kept(
    server: ValkeyServer, subject: ValkeySubject, identity: GrantIdentity, credential: Credential
) -> None:
    session = subject.open_session(credential)
    server.ask("ACL", "SETUSER", identity.name, "clearselectors")
    [listed] = connector.list_managed_accounts(subject.target, "test-portal", [identity]).accounts
    assert listed.grant_id is None
    connector.contain(subject.target, identity)
    assert not session.works()
    assert not subject.can_sign_in(credential)
    with pytest.raises(TargetMismatch, match="Delete it by hand"):
        connector.clean(subject.target, identity)


def test_rules_widened_by_hand_are_drift(
    server: ValkeyServer, subject: ValkeySubject, identity: GrantIdentity
) -> None:
    server.ask("ACL", "SETUSER", identity.name, "~secret:*")
    [listed] = connector.list_managed_accounts(subject.target, "test-portal", [identity]).accounts
    assert [one.name for one in listed.memberships] == ["app_read", "other rules"]


def test_an_open_default_account_fails_the_check(
    server: ValkeyServer, subject: ValkeySubject
) -> None:
    server.ask("ACL", "SETUSER", "default", "on", "nopass")
    try:
        failed = {one.name: one for one in connector.preflight(subject.target) if not one.ok}
    finally:
        server.ask("ACL", "SETUSER", "default", "reset")
    assert "ACL SETUSER default off" in failed["default_account"].remedy


def test_a_server_without_a_name_is_not_touched(
    server: ValkeyServer, subject: ValkeySubject
) -> None:
    line = next(
        str(line)
        for line in server.ask("ACL", "LIST")
        if "apono_server" in str(line)  # type: ignore[attr-defined]
    )
    server.ask("ACL", "DELUSER", "apono_server")
    spec = subject.spec()
    try:
        failed = {one.name: one for one in connector.preflight(subject.target) if not one.ok}
        with pytest.raises(TargetMismatch):
            connector.activate(subject.target, spec)
        assert not subject.exists(spec.login)
    finally:
        selector = line[line.index("(") :].split()[0] + ")"
        server.ask("ACL", "SETUSER", "apono_server", "reset", selector)
        server.ask("ACL", "SAVE")
    assert "ACL SETUSER apono_server" in failed["server_name"].remedy


def test_the_password_is_in_no_file_of_the_server(
    server: ValkeyServer, credential: Credential
) -> None:
    text = server.acl_file.read_text()
    assert credential.user in text
    assert credential.password not in text
    assert PASSWORD not in text
