"""Which roles may never be granted, directly or through others."""

from collections.abc import Iterator

import pytest
from psycopg import sql

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.registry import connector_for
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")


@pytest.fixture
def capability(pg_target: PgTarget) -> Iterator[str]:
    """A harmless role that the broker may grant on orders."""
    admin = " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE" if pg_target.version >= 16 else ""
    pg_target.ask("CREATE ROLE cap; CREATE ROLE middle; GRANT middle TO cap")
    pg_target.ask(f"GRANT cap TO portal_broker{admin}; GRANT CONNECT ON DATABASE orders TO cap")
    yield "cap"
    pg_target.ask("DROP OWNED BY cap, middle; DROP ROLE cap, middle")


def refusal(pg: PgTarget, permission: str) -> str:
    with pytest.raises(TargetRefused) as refused:
        postgresql.check_permission(pg.target, permission)
    with pytest.raises(TargetRefused) as at_activation:
        postgresql.activate(pg.target, pg.spec(permission=permission))
    assert at_activation.value.sentence == refused.value.sentence
    assert pg.grant_roles() == []
    return refused.value.sentence


def test_harmless_role_is_accepted(pg_target: PgTarget, capability: str) -> None:
    postgresql.check_permission(pg_target.target, capability)
    postgresql.activate(pg_target.target, pg_target.spec(permission=capability))


@pytest.mark.parametrize(
    "attribute", ["SUPERUSER", "CREATEROLE", "CREATEDB", "BYPASSRLS", "REPLICATION"]
)
@pytest.mark.parametrize("role", ["cap", "middle"])
def test_attribute_is_refused_directly_and_through_another_role(
    pg_target: PgTarget, capability: str, role: str, attribute: str
) -> None:
    pg_target.ask(f"ALTER ROLE {role} {attribute}")
    assert f"has the attribute {attribute}" in refusal(pg_target, capability)


@pytest.mark.parametrize(
    "predefined",
    [
        "pg_execute_server_program",
        "pg_write_server_files",
        "pg_read_server_files",
        "pg_read_all_data",
        "pg_signal_backend",
    ],
)
def test_predefined_role_is_refused_directly_and_through_another_role(
    pg_target: PgTarget, capability: str, predefined: str
) -> None:
    assert "predefined" in refusal(pg_target, predefined)
    pg_target.ask(f"GRANT {predefined} TO middle")
    sentence = refusal(pg_target, capability)
    assert predefined in sentence
    assert "as a member of" in sentence


def test_login_role_is_refused(pg_target: PgTarget, capability: str) -> None:
    pg_target.ask("ALTER ROLE cap LOGIN")
    assert "can log in" in refusal(pg_target, capability)


def test_role_with_admin_option_is_refused(pg_target: PgTarget, capability: str) -> None:
    pg_target.ask("GRANT middle TO cap WITH ADMIN OPTION")
    assert "grant that membership to others" in refusal(pg_target, capability)


def test_owner_is_refused_in_whatever_database_directly_and_through_another_role(
    pg_target: PgTarget, capability: str
) -> None:
    pg_target.ask("CREATE TABLE sales.owned (id int)", database="orders")
    try:
        for role in ("cap", "middle"):
            pg_target.ask(f"ALTER TABLE sales.owned OWNER TO {role}", database="orders")
            assert "owns objects" in refusal(pg_target, capability)
            with pytest.raises(TargetRefused, match="owns objects"):
                postgresql.activate(pg_target.target, pg_target.spec(permission=capability))
    finally:
        pg_target.ask("DROP TABLE sales.owned", database="orders")


def test_role_with_default_privileges_of_its_own_is_refused(
    pg_target: PgTarget, capability: str
) -> None:
    """On 15, a grantee can become the capability role and make them."""
    change = "ALTER DEFAULT PRIVILEGES FOR ROLE cap GRANT SELECT ON TABLES TO PUBLIC"
    pg_target.ask(change, database="orders")
    try:
        assert "default privileges" in refusal(pg_target, capability)
    finally:
        pg_target.ask("DROP OWNED BY cap", database="orders")


def test_role_made_dangerous_after_the_flow_was_saved_is_refused_at_activation(
    pg_target: PgTarget, capability: str
) -> None:
    postgresql.check_permission(pg_target.target, capability)
    pg_target.ask("GRANT pg_read_all_data TO cap")
    with pytest.raises(TargetRefused, match="pg_read_all_data"):
        postgresql.activate(pg_target.target, pg_target.spec(permission=capability))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("a" * 64, "64 bytes"),
        ("🦊" * 16, "64 bytes"),
        ("pg_anything", "predefined"),
        ("public", "reserved"),
        ("none", "reserved"),
        ("with\x00nul", "control characters"),
        ("line\nbreak", "control characters"),
        ("\ud800", "not valid Unicode"),
        ("no_such_role", "no role named"),
        ("'; DROP ROLE portal_broker; --", "no role named"),
        ('"', "no role named"),
        ("jit_graveyard", "portal's own"),
        ("portal_broker", "can log in"),
        ("postgres", "can log in"),
    ],
)
def test_hostile_permission_name_is_refused_with_a_sentence(
    pg_target: PgTarget, name: str, reason: str
) -> None:
    assert reason in refusal(pg_target, name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("a" * 64, "64 bytes"),
        ("no_such_database", "accepts connections"),
        ("'; DROP DATABASE orders; --", "accepts connections"),
        ("dbname=orders host=192.0.2.1", "accepts connections"),
        ("postgresql://192.0.2.1/orders", "accepts connections"),
        ("a\x00b", "control characters"),
        ("\ud800", "not valid Unicode"),
        ("template0", "accepts connections"),
        ("%(oid)s {role}", "accepts connections"),
    ],
)
def test_hostile_resource_name_is_refused_with_a_sentence(
    pg_target: PgTarget, name: str, reason: str
) -> None:
    with pytest.raises(TargetRefused, match=reason):
        postgresql.activate(pg_target.target, pg_target.spec(resource=name))
    assert pg_target.grant_roles() == []


@pytest.mark.parametrize("name", ["we\"ird 'role", "🦊 fox", "a" * 63, "%s {x} %(oid)s", "Ümlaut"])
def test_strange_but_real_names_work_through_the_whole_cycle(
    pg_target: PgTarget, name: str
) -> None:
    role = sql.Identifier(name)
    admin = sql.SQL(" WITH ADMIN TRUE" if pg_target.version >= 16 else "")
    pg_target.ask(sql.SQL("CREATE ROLE {}").format(role))
    pg_target.ask(sql.SQL("GRANT {} TO portal_broker").format(role) + admin)
    pg_target.ask(sql.SQL("CREATE DATABASE {}").format(role))
    try:
        checks = postgresql.canary(pg_target.target, name, name, portal_id="test")
        assert [check.sentence for check in checks if not check.ok] == []
    finally:
        pg_target.ask(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(role))
        pg_target.ask(sql.SQL("DROP ROLE {}").format(role))
