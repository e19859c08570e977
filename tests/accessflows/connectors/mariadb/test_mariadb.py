"""What is special about MariaDB: roles that give too much, definers, prepared transactions, full slots."""

import pymysql
import pytest

from accessflows.connectors.errors import TargetMismatch, TargetRefused
from accessflows.connectors.protocol import Credential, GrantIdentity, GrantSpec
from accessflows.connectors.registry import connector_for
from tests.fixtures.mariadb import (
    BROKER,
    PASSWORD,
    MariaDBServer,
    MariaDBSubject,
)

connector = connector_for("mariadb")
BUILD = {"permission": "orders_build", "allow_delegation": True}


@pytest.fixture
def subject(mariadb_subject: MariaDBSubject) -> MariaDBSubject:
    return mariadb_subject


@pytest.fixture
def server(mariadb_server: MariaDBServer) -> MariaDBServer:
    return mariadb_server


def active(
    subject: MariaDBSubject, **changes: object
) -> tuple[GrantSpec, GrantIdentity, Credential]:
    spec = subject.spec(**changes)
    identity = connector.activate(subject.target, spec).identity
    return spec, identity, connector.issue_credential(subject.target, spec, identity)


def run_as(server: MariaDBServer, credential: Credential, *statements: str) -> None:
    with (
        server.connect(user=credential.user, password=credential.password) as connection,
        connection.cursor() as cursor,
    ):
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.parametrize(
    ("grant", "reason"),
    [
        ("GRANT PROCESS ON *.* TO risky", "whole server"),
        ("GRANT SELECT ON mysql.* TO risky", "own tables"),
        ("GRANT SELECT ON `%`.* TO risky", "own tables"),
        ("GRANT SELECT ON apono_portal.* TO risky", "own tables"),
        ("GRANT SELECT ON orders.* TO risky WITH GRANT OPTION", "give its rights"),
        ("GRANT SELECT ON orders.items TO risky WITH GRANT OPTION", "give its rights"),
        ("GRANT orders_read TO risky WITH ADMIN OPTION", "give its rights"),
        ("GRANT orders_build TO risky", "create views"),
        ("GRANT EVENT ON orders.* TO risky", "create events"),
    ],
)
def test_a_role_that_gives_too_much_is_refused(
    server: MariaDBServer, subject: MariaDBSubject, grant: str, reason: str
) -> None:
    server.ask("CREATE ROLE risky", grant, f"GRANT risky TO {BROKER} WITH ADMIN OPTION")
    try:
        with pytest.raises(TargetRefused, match=reason):
            connector.activate(subject.target, subject.spec(permission="risky"))
        [found] = [
            one for one in connector.discover(subject.target).permissions if one.name == "risky"
        ]
        assert reason in found.refusal + found.delegation
    finally:
        server.ask("DROP ROLE risky")


def test_a_role_the_broker_may_not_grant_says_what_to_run(
    server: MariaDBServer, subject: MariaDBSubject
) -> None:
    server.ask("CREATE ROLE foreign_role")
    try:
        with pytest.raises(TargetRefused, match="ADMIN OPTION"):
            connector.check_permission(subject.target, "foreign_role")
        failed = {one.name: one for one in connector.preflight(subject.target) if not one.ok}
    finally:
        server.ask("DROP ROLE foreign_role")
    remedy = failed["Permission foreign_role"].remedy
    assert remedy == f"GRANT `foreign_role` TO '{BROKER}'@'%' WITH ADMIN OPTION;"


def test_what_names_the_login_as_definer_is_listed_and_cannot_run(
    server: MariaDBServer, subject: MariaDBSubject
) -> None:
    _, identity, credential = active(subject, **BUILD)
    run_as(
        server,
        credential,
        "CREATE PROCEDURE orders.steal() INSERT INTO orders.items VALUES (9)",
        "CREATE EVENT orders.later ON SCHEDULE EVERY 1 SECOND DO INSERT INTO orders.items VALUES (9)",
    )
    try:
        connector.contain(subject.target, identity)
        found = connector.find_owned_objects(subject.target, identity).items
        assert [(one.database, one.kind, one.name) for one in found] == [
            ("orders", "event", "later"),
            ("orders", "procedure", "steal"),
        ]
        connector.clean(subject.target, identity)
        proof = connector.prove(subject.target, identity)
        assert proof.holds
        assert "can't run without their definer" in proof.left_behind_note
        with pytest.raises(pymysql.MySQLError, match="definer"):
            server.ask("CALL orders.steal()")
    finally:
        server.ask("DROP PROCEDURE orders.steal", "DROP EVENT orders.later")


def test_a_prepared_transaction_is_reported(server: MariaDBServer, subject: MariaDBSubject) -> None:
    _, identity, credential = active(subject, **BUILD)
    run_as(
        server,
        credential,
        "XA START 'left'",
        "INSERT INTO orders.items VALUES (5)",
        "XA END 'left'",
        "XA PREPARE 'left'",
    )
    try:
        connector.contain(subject.target, identity)
        connector.clean(subject.target, identity)
        note = connector.prove(subject.target, identity).left_behind_note
        assert "Prepared XA transactions on the server, of anybody: 1" in note
    finally:
        server.ask("XA ROLLBACK 'left'")


def fill(server: MariaDBServer, opened: list[object]) -> None:
    for _ in range(80):
        opened += [server.connect(user="filler", password="x")]


def test_a_full_server_does_not_keep_the_portal_out(
    server: MariaDBServer, subject: MariaDBSubject
) -> None:
    _, identity, credential = active(subject)
    server.ask("CREATE USER filler IDENTIFIED BY 'x'")
    opened = []
    try:
        session = subject.open_session(credential)
        with pytest.raises(pymysql.OperationalError):
            fill(server, opened)
        connector.contain(subject.target, identity)
        assert not session.works()
    finally:
        for connection in opened:
            connection.close()
        server.ask("DROP USER filler")


def test_a_grantee_cannot_open_more_than_its_limit(
    server: MariaDBServer, subject: MariaDBSubject
) -> None:
    _, _, credential = active(subject, connection_limit=2)
    sessions = [subject.open_session(credential) for _ in range(2)]
    with pytest.raises(pymysql.OperationalError):
        subject.open_session(credential)
    assert all(session.works() for session in sessions)


def test_a_session_in_a_long_statement_is_ended(
    server: MariaDBServer, subject: MariaDBSubject
) -> None:
    _, identity, credential = active(subject)
    connection = server.connect(user=credential.user, password=credential.password)
    connection._execute_command(3, "SELECT SLEEP(60)")  # type: ignore[attr-defined]
    assert connector.contain(subject.target, identity).sessions_terminated == 1
    with pytest.raises(pymysql.MySQLError):
        connection._read_query_result()  # type: ignore[attr-defined]
    connection._force_close()  # type: ignore[attr-defined]


def test_an_account_without_its_marker_is_locked_and_kept(
    server: MariaDBServer, subject: MariaDBSubject
) -> None:
    _, identity, credential = active(subject)
    session = subject.open_session(credential)
    server.ask("DELETE FROM apono_portal.grants")
    [listed] = connector.list_managed_accounts(subject.target, "test-portal", [identity]).accounts
    assert listed.grant_id is None
    connector.contain(subject.target, identity)
    assert not session.works()
    assert not subject.can_sign_in(credential)
    with pytest.raises(TargetMismatch, match="Drop it by hand"):
        connector.clean(subject.target, identity)


def test_a_missing_marker_table_keeps_no_session_open(
    server: MariaDBServer, subject: MariaDBSubject
) -> None:
    _, identity, credential = active(subject)
    session = subject.open_session(credential)
    server.ask("RENAME TABLE apono_portal.grants TO apono_portal.aside")
    try:
        with pytest.raises(TargetRefused):
            connector.contain(subject.target, identity)
        assert not session.works()
        assert not subject.can_sign_in(credential)
        with pytest.raises(TargetRefused):
            connector.activate(subject.target, subject.spec())
    finally:
        server.ask("RENAME TABLE apono_portal.aside TO apono_portal.grants")
    connector.contain(subject.target, identity)
    connector.clean(subject.target, identity)
    assert connector.prove(subject.target, identity).holds


def test_rights_given_by_hand_are_drift(server: MariaDBServer, subject: MariaDBSubject) -> None:
    _, identity, _ = active(subject)
    server.ask(f"GRANT orders_build TO {identity.name}", f"GRANT PROCESS ON *.* TO {identity.name}")
    [listed] = connector.list_managed_accounts(subject.target, "test-portal", [identity]).accounts
    assert [one.name for one in listed.memberships] == ["orders_build", "orders_read"]
    assert listed.has_attributes


def test_missing_rights_of_the_broker_say_what_to_run(
    server: MariaDBServer, subject: MariaDBSubject
) -> None:
    server.ask(f"REVOKE PROCESS ON *.* FROM {BROKER}")
    try:
        failed = {one.name: one for one in connector.preflight(subject.target) if not one.ok}
    finally:
        server.ask(f"GRANT PROCESS ON *.* TO {BROKER}")
    assert failed["broker"].sentence == "The broker lacks PROCESS."
    assert f"TO '{BROKER}'@'%'" in failed["broker"].remedy
    assert PASSWORD not in failed["broker"].remedy
