"""Rights of a capability role, in sentences for users who do not know PostgreSQL."""

from accessflows.connectors.postgresql.rights_text import rights_sentences
from accessflows.connectors.protocol import Right
from accessflows.connectors.registry import connector_for
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")
TOTALS = {("table", "sales"): 2}


def right(name: str, *privileges: str, kind: str = "table", via: str = "cap") -> Right:
    return Right(kind, name, privileges, via)


def test_all_tables_of_a_schema_are_every_table() -> None:
    rights = [right("sales.a", "SELECT"), right("sales.b", "SELECT")]
    assert rights_sentences(rights, TOTALS) == ["Read every table in schema sales"]


def test_one_table_of_many_is_named() -> None:
    assert rights_sentences([right("sales.a", "SELECT")], TOTALS) == ["Read table sales.a"]


def test_all_privileges_on_rows_are_read_and_change() -> None:
    changes = right("sales.a", "SELECT", "INSERT", "UPDATE", "DELETE")
    assert rights_sentences([changes], TOTALS) == ["Read and change table sales.a"]


def test_rights_of_two_roles_are_combined() -> None:
    rights = [right("sales.a", "SELECT"), right("sales.a", "INSERT", via="other")]
    assert rights_sentences(rights, TOTALS) == ["Read and add rows to table sales.a"]


def test_grant_option_and_ownership_are_never_left_out() -> None:
    rights = [right("sales.a", "SELECT WITH GRANT OPTION"), right("sales.b", "OWNER")]
    sentences = rights_sentences(rights, TOTALS)
    assert sentences == [
        "Read and grant others rights on table sales.a",
        "Do anything, as the owner, with table sales.b",
    ]


def test_an_unknown_privilege_is_shown_by_name() -> None:
    assert rights_sentences([right("sales.a", "NEWFANGLED")], TOTALS) == [
        "NEWFANGLED table sales.a"
    ]


def test_a_quoted_schema_with_a_dot_is_one_schema() -> None:
    sentences = rights_sentences([right('"a.b".t', "SELECT")], {("table", '"a.b"'): 1})
    assert sentences == ['Read every table in schema "a.b"']


def test_connect_alone_gives_no_rights() -> None:
    [sentence] = rights_sentences([right("orders", "CONNECT", kind="database")], {})
    assert "no rights beyond" in sentence


def test_a_real_server_is_described(pg_target: PgTarget) -> None:
    sentences = postgresql.describe_rights(pg_target.target, "orders", ["orders_read"])
    assert any("in schema sales" in line for line in sentences["orders_read"]), sentences
