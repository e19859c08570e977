"""Rights of a capability role, in sentences for people who do not know PostgreSQL."""

from accessflows.connectors.postgresql.rights_text import in_plain_words
from accessflows.connectors.protocol import Right
from accessflows.connectors.registry import connector_for
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")
TOTALS = {("table", "sales"): 2}


def right(name: str, *privileges: str, kind: str = "table", via: str = "cap") -> Right:
    return Right(kind, name, privileges, via)


def test_all_tables_of_a_schema_are_said_as_every_table() -> None:
    rights = [right("sales.a", "SELECT"), right("sales.b", "SELECT")]
    assert in_plain_words(rights, TOTALS) == ["Read every table in schema sales"]


def test_one_of_many_is_named() -> None:
    assert in_plain_words([right("sales.a", "SELECT")], TOTALS) == ["Read table sales.a"]


def test_reading_and_all_ways_of_changing_are_one_word() -> None:
    changes = right("sales.a", "SELECT", "INSERT", "UPDATE", "DELETE")
    assert in_plain_words([changes], TOTALS) == ["Read and change table sales.a"]


def test_what_comes_through_two_roles_is_added_up() -> None:
    rights = [right("sales.a", "SELECT"), right("sales.a", "INSERT", via="other")]
    assert in_plain_words(rights, TOTALS) == ["Read and add rows to table sales.a"]


def test_handing_on_and_owning_are_never_left_out() -> None:
    rights = [right("sales.a", "SELECT WITH GRANT OPTION"), right("sales.b", "OWNER")]
    said = in_plain_words(rights, TOTALS)
    assert said == [
        "Read and give others rights on table sales.a",
        "Do anything, as its owner, with table sales.b",
    ]


def test_a_privilege_we_have_no_word_for_is_said_by_its_name() -> None:
    assert in_plain_words([right("sales.a", "NEWFANGLED")], TOTALS) == ["NEWFANGLED table sales.a"]


def test_a_quoted_schema_with_a_dot_is_one_schema() -> None:
    said = in_plain_words([right('"a.b".t', "SELECT")], {("table", '"a.b"'): 1})
    assert said == ['Read every table in schema "a.b"']


def test_connecting_alone_is_said_to_be_nothing() -> None:
    [said] = in_plain_words([right("orders", "CONNECT", kind="database")], {})
    assert "nothing beyond" in said


def test_a_real_server_is_described(pg_target: PgTarget) -> None:
    said = postgresql.describe_rights(pg_target.target, "orders", ["orders_read"])
    assert any("in schema sales" in line for line in said["orders_read"]), said
