"""Preflight reports what is wrong with the SQL that fixes it; activation refuses until it is fixed."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql.connection import connect_as_broker
from accessflows.connectors.postgresql.discovery import rights_in_current_database
from accessflows.connectors.postgresql.preflight import _ADMINISTERED
from accessflows.connectors.postgresql.setup_sql import broker_setup_sql
from accessflows.connectors.protocol import Check
from accessflows.connectors.registry import connector_for
from tests.accessflows.connectors.conftest import Grant, MakeGrant
from tests.fixtures.postgres import PgTarget, StartServer

postgresql = connector_for("postgresql")


def failed_checks(pg: PgTarget) -> dict[str, Check]:
    return {check.name: check for check in postgresql.preflight(pg.target) if not check.ok}


def expected_failures(pg: PgTarget) -> set[str]:
    """Version 15 is reported. The shared server of later ones allows prepared transactions."""
    return {"Version"} if pg.version < 16 else {"Prepared transactions"}


def test_provisioned_target_passes(pg_target: PgTarget) -> None:
    assert set(failed_checks(pg_target)) == expected_failures(pg_target)


def test_version_15_fails(pg_target: PgTarget) -> None:
    check = next(one for one in postgresql.preflight(pg_target.target) if one.name == "Version")
    assert check.ok is (pg_target.version >= 16)
    assert ("grant itself any role" in check.sentence) is (pg_target.version < 16)


def test_another_broker_that_cannot_drop_earlier_logins_fails(
    pg_target: PgTarget, make_grant: MakeGrant
) -> None:
    """Before version 16, CREATEROLE is enough."""
    grant, secret = make_grant(), "another-brokers-password"
    offers = {"orders_read": ["orders"]}
    pg_target.ask(broker_setup_sql(pg_target.version, broker="other_broker", password=secret, capabilities=offers))  # fmt: skip
    pg_target.ask("GRANT CONNECT ON DATABASE postgres TO other_broker")
    other = replace(pg_target, target=pg_target.with_target(user="other_broker", password=secret))
    try:
        check = failed_checks(other).get("Earlier grants")
        assert (check is None) is (pg_target.version < 16)
        if check is not None:
            with pytest.raises(TargetRefused, match="denied the broker a right"):
                postgresql.contain(other.target, grant.identity)
            pg_target.ask(check.remedy)
        assert "Earlier grants" not in failed_checks(other)
        postgresql.contain(other.target, grant.identity)
        postgresql.clean(other.target, grant.identity)
        assert grant.proof_holds()
    finally:
        pg_target.ask("DROP OWNED BY other_broker CASCADE")
        pg_target.ask("DROP ROLE other_broker")


def test_logins_of_another_portal_are_ignored(pg_target: PgTarget, grant: Grant) -> None:
    checks = postgresql.preflight(pg_target.target, portal_id="another-portal")
    assert next(one for one in checks if one.name == "Earlier grants").ok


BROKEN = {
    "CREATEROLE": "ALTER ROLE portal_broker NOCREATEROLE",
    "pg_signal_backend": "REVOKE pg_signal_backend FROM portal_broker",
    "Graveyard role": "REVOKE jit_graveyard FROM portal_broker",
    "Database orders": "GRANT CONNECT ON DATABASE orders TO PUBLIC",
    "Reserved connections": "REVOKE pg_use_reserved_connections FROM portal_broker",
    "Connect to orders": "REVOKE CONNECT ON DATABASE orders FROM portal_broker",
    "Grant orders_read": "REVOKE orders_read FROM portal_broker CASCADE",
}
BROKEN_ON_15 = {
    "Reserved connections": "ALTER DATABASE orders CONNECTION LIMIT -1",
}
RESTORE = {
    "Database orders": "REVOKE CONNECT, TEMPORARY ON DATABASE orders FROM PUBLIC",
    "Connect to orders": "GRANT CONNECT ON DATABASE orders TO portal_broker",
    "Grant orders_read": (
        "GRANT orders_read TO portal_broker WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        "CREATEROLE",
        "pg_signal_backend",
        "Graveyard role",
        "Database orders",
        "Reserved connections",
    ],
)
def test_missing_right_fails_and_its_remedy_fixes_it(pg_target: PgTarget, name: str) -> None:
    older = pg_target.version < 16
    pg_target.ask((BROKEN | BROKEN_ON_15 if older else BROKEN)[name])
    check = failed_checks(pg_target)[name]
    pg_target.ask(check.remedy)
    assert set(failed_checks(pg_target)) == expected_failures(pg_target)


@pytest.mark.parametrize(
    "name",
    ["CREATEROLE", "pg_signal_backend", "Graveyard role", "Connect to orders", "Grant orders_read"],
)
def test_activation_without_a_right_refuses_and_leaves_nothing(
    pg_target: PgTarget, name: str
) -> None:
    if name == "Grant orders_read" and pg_target.version < 16:
        return  # CREATEROLE alone is enough there
    pg_target.ask(BROKEN[name])
    try:
        with pytest.raises(TargetRefused, match=r"\. [A-Z].*\."):
            postgresql.activate(pg_target.target, pg_target.spec())
    finally:
        remedy = RESTORE.get(name) or failed_checks(pg_target)[name].remedy
        pg_target.ask(remedy)
    assert pg_target.grant_roles() == []


def test_role_the_broker_cannot_grant_is_not_offered(pg_target: PgTarget) -> None:
    if pg_target.version < 16:
        return
    pg_target.ask(BROKEN["Grant orders_read"])
    try:
        roles = {role.name: role for role in postgresql.discover(pg_target.target).permissions}
        assert "ADMIN OPTION" in roles["orders_read"].refusal
        assert roles["orders_write"].refusal == ""
    finally:
        pg_target.ask(RESTORE["Grant orders_read"])


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("ALTER ROLE jit_graveyard LOGIN", "ALTER ROLE jit_graveyard NOLOGIN"),
        ("GRANT orders_read TO jit_graveyard", "REVOKE orders_read FROM jit_graveyard"),
    ],
)
def test_graveyard_role_with_rights_fails_and_stops_activation(
    pg_target: PgTarget, change: str, back: str
) -> None:
    pg_target.ask(change)
    try:
        assert "these rights" in failed_checks(pg_target)["Graveyard role"].sentence
        with pytest.raises(TargetRefused, match="these rights"):
            postgresql.activate(pg_target.target, pg_target.spec())
    finally:
        pg_target.ask(back)


def test_superuser_as_broker_fails(pg_target: PgTarget) -> None:
    root = pg_target.with_target(
        user=pg_target.server.superuser, password=pg_target.server.password
    )
    failures = {check.name: check for check in postgresql.preflight(root) if not check.ok}
    assert "is a superuser" in failures["Broker"].sentence


def test_rights_that_could_outlast_a_grant_fail(pg_target: PgTarget, builder: str) -> None:
    pg_target.ask(f"GRANT SELECT ON sales.orders TO {builder} WITH GRANT OPTION", database="orders")
    roles = {role.name: role for role in postgresql.discover(pg_target.target).permissions}
    assert "SELECT on table sales.orders WITH GRANT OPTION" in roles[builder].delegation
    pg_target.ask(f"REVOKE ALL ON sales.orders FROM {builder}", database="orders")
    for right in ("CREATE", "USAGE"):
        pg_target.ask(f"REVOKE {right} ON SCHEMA sales FROM jit_graveyard", database="orders")
        check = failed_checks(pg_target)[f"{builder} in orders"]
        assert "graveyard role can't" in check.sentence
        pg_target.ask(check.remedy, database="orders")
        assert f"{builder} in orders" not in failed_checks(pg_target)


def test_dangerous_permission_fails(pg_target: PgTarget) -> None:
    checks = postgresql.preflight(pg_target.target, ["pg_read_all_data", "orders_read"])
    by_name = {check.name: check.ok for check in checks}
    assert by_name["Permission pg_read_all_data"] is False
    assert by_name["Grant orders_read"] is True
    assert "Grant orders_write" not in by_name


def test_unreachable_target_is_one_failed_check(pg_target: PgTarget) -> None:
    checks = postgresql.preflight(pg_target.with_target(port=1))
    assert [(check.name, check.ok) for check in checks] == [("Connection", False)]


def test_server_with_trust_authentication_fails(
    pg_version: int, start_postgres: StartServer
) -> None:
    from apono_portal.demo.target import provision_target

    server = start_postgres(pg_version)
    target = provision_target(server, "broker")
    hba = server.data / "pg_hba.conf"
    hba.write_text(
        "host all portal_broker 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
    )
    pg = PgTarget(server, target, pg_version)
    pg.ask("SELECT pg_reload_conf(), pg_sleep(0.2)")
    assert "Password required" in failed_checks(pg)
    steps = {
        c.name: c.ok for c in postgresql.canary(target, "orders", "orders_read", portal_id="p")
    }
    assert list(steps.values()).count(False) == 1
    assert pg.grant_roles() == []
    server.stop()


def test_discovery_lists_databases_and_capability_roles(
    pg_target: PgTarget, make_grant: MakeGrant
) -> None:
    make_grant()
    inventory = postgresql.discover(pg_target.target)
    assert inventory.resources == ("billing", "orders", "orders_staging", "postgres")
    roles = {role.name: role.resources for role in inventory.permissions}
    assert roles == {
        "billing_read": ("billing",),
        "billing_write": ("billing",),
        "orders_read": ("orders", "orders_staging"),
        "orders_write": ("orders", "orders_staging"),
    }
    assert inventory.server_version == str(pg_target.version)


def test_rights_name_object_privileges_and_the_role_they_come_through(
    pg_target: PgTarget,
) -> None:
    with connect_as_broker(pg_target.target, database="orders") as connection:
        rights = rights_in_current_database(connection, "orders_write")
    by_name = {right.name: right for right in rights}
    assert by_name["sales.orders"].privileges == ("DELETE", "INSERT", "SELECT", "UPDATE")
    assert by_name["sales.orders"].via == "orders_write"
    assert by_name["sales"].privileges == ("USAGE",)


def test_rights_follow_memberships(pg_target: PgTarget) -> None:
    pg_target.ask("CREATE ROLE outer_role; GRANT orders_read TO outer_role")
    try:
        with connect_as_broker(pg_target.target, database="orders") as connection:
            rights = rights_in_current_database(connection, "outer_role")
        assert {right.via for right in rights} == {"orders_read"}
    finally:
        pg_target.ask("DROP ROLE outer_role")


def test_administered_roles_are_those_of_the_server(
    pg_target: PgTarget, make_grant: MakeGrant
) -> None:
    """The broker's own role, one it administers through a membership, and one it does not."""
    own = make_grant().role
    pg_target.ask(
        "CREATE ROLE keeper; GRANT keeper TO portal_broker; CREATE ROLE kept; CREATE ROLE beyond"
    )
    pg_target.ask(f"GRANT kept TO keeper WITH ADMIN OPTION; GRANT {own} TO keeper")
    server_query = "SELECT oid::bigint AS oid FROM pg_roles WHERE NOT rolsuper AND pg_has_role(oid, 'MEMBER WITH ADMIN OPTION')"
    try:
        with connect_as_broker(pg_target.target) as connection:
            administered = {row["oid"] for row in connection.rows(_ADMINISTERED)}
            expected = {row["oid"] for row in connection.rows(server_query)}
            beyond = connection.row(
                "SELECT oid::bigint AS oid FROM pg_roles WHERE rolname = 'beyond'"
            )
    finally:
        pg_target.ask("DROP ROLE keeper, kept, beyond")
    if pg_target.version < 16:
        assert expected <= administered
    else:
        assert administered == expected
        assert beyond["oid"] not in administered


def test_results_convert_to_json_without_secrets(
    pg_target: PgTarget, make_grant: MakeGrant
) -> None:
    import json

    grant = make_grant()
    results: list[Callable[[], dict[str, object]]] = [
        postgresql.discover(pg_target.target).as_dict,
        postgresql.prove(pg_target.target, grant.identity).as_dict,
        postgresql.find_owned_objects(pg_target.target, grant.identity).as_dict,
        postgresql.list_managed_accounts(pg_target.target, "test-portal", []).as_dict,
        postgresql.activate(pg_target.target, grant.spec).as_dict,
        grant.contain().as_dict,
        pg_target.target.as_dict,
        grant.credential.as_dict,
        grant.spec.as_dict,
    ]
    for result in results:
        text = json.dumps(result())
        assert grant.credential.password not in text
        assert pg_target.target.password not in text


def test_rights_in_a_schema_that_may_not_be_entered_fail(pg_target: PgTarget) -> None:
    """They look like rights on every page, and the login cannot use them."""
    name = "Schemas of orders_read in orders"
    pg_target.ask(
        "CREATE SCHEMA closed; CREATE TABLE closed.items (id int);"
        " GRANT SELECT ON closed.items TO orders_read",
        database="orders",
    )
    try:
        [check] = [one for one in postgresql.preflight(pg_target.target) if one.name == name]
        pg_target.ask(check.remedy, database="orders")
        after = {one.name for one in postgresql.preflight(pg_target.target)}
    finally:
        pg_target.ask("DROP SCHEMA closed CASCADE", database="orders")
    assert not check.ok
    assert "closed" in check.sentence
    assert name not in after
