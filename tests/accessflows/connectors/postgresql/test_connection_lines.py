"""How a credential is used: what is shown is what libpq understands."""

import shlex
from dataclasses import replace

from psycopg.conninfo import conninfo_to_dict

from accessflows.connectors.postgresql.connection_lines import connection_uri
from accessflows.connectors.protocol import Credential
from accessflows.connectors.registry import connector_for
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")
NAMES = ("orders", "a b", "x=1", "päivä", "per%cent", "a/b?c#d", "postgresql://x")


def test_the_uri_is_unambiguous() -> None:
    for name in NAMES:
        for host in ("db.example", "10.0.0.1", "::1"):
            credential = Credential(host, 5433, name, "jit_x", "secret")
            uri = connection_uri(credential, sslmode="verify-full")
            parameters = conninfo_to_dict(uri)
            assert "secret" not in uri
            assert (parameters["dbname"], parameters["host"]) == (name, host)
            assert (parameters["user"], parameters["sslmode"]) == ("jit_x", "verify-full")


def test_the_certificates_of_the_target_come_with_the_credential(pg_target: PgTarget) -> None:
    target = replace(pg_target.target, sslmode="verify-full", ca_certificates="the certificates")
    credential = Credential("db.example", 5433, "orders", "jit_x", "secret")
    command, uri, file = postgresql.connection_lines(target, pg_target.spec(), credential)
    value = shlex.split(command.text)[-1]
    assert conninfo_to_dict(value)["sslrootcert"] == file.file_name
    assert conninfo_to_dict(uri.text)["sslrootcert"] == file.file_name
    assert file.text == "the certificates"
